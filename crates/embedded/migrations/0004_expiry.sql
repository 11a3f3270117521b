-- When a delivery expires, beside its header, so that what has expired behind gates is found without reading headers. Few
-- deliveries have an expiry and fewer stand behind a gate, so the index costs next to nothing.
ALTER TABLE deliveries ADD COLUMN expires INTEGER; -- ms since 1970; NULL: never
-- A header that cannot be read is quarantine's business.
UPDATE deliveries SET expires = (
    SELECT CAST(round(unixepoch(json_extract(CAST(header AS TEXT), '$.expires_at'), 'subsec') * 1000) AS INTEGER)
    FROM bodies WHERE bodies.seq = deliveries.seq AND json_valid(CAST(header AS TEXT))
) WHERE place < 20 OR place = 40;
CREATE INDEX deliveries_by_expiry ON deliveries (expires) WHERE gate IS NOT NULL AND expires IS NOT NULL;
