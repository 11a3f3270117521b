-- An event that its owner deleted stays as a row without content, so that its id stays used.
ALTER TABLE events ADD COLUMN erased INTEGER NOT NULL DEFAULT 0;
