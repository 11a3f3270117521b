-- status: 7 quarantined, with the reason in `waiting_reason`.

-- Of a delivery that moved before any entry told what it is: why it went into quarantine; null where it was brought forward.
ALTER TABLE brought_forward ADD COLUMN quarantined TEXT;
