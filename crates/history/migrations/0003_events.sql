-- Lists of a project's events, most recent first.
CREATE INDEX events_by_project ON events (project);

-- When the event was deleted by its owner; null while it is not.
ALTER TABLE events ADD COLUMN deleted_at INTEGER;
-- How far the deletion has come: 0 its rows are yet to be erased; 1 they are, and the log and the queue are yet to be looked
-- through once more; 2 it is finished.
ALTER TABLE events ADD COLUMN deletion INTEGER;
CREATE INDEX events_in_deletion ON events (deletion) WHERE deletion < 2;
CREATE INDEX events_deleted ON events (deleted_at) WHERE deleted_at IS NOT NULL;
