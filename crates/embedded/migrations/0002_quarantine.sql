-- Place 40: in quarantine, with its body, until `at`; there is no gate. Few rows, so the index costs next to nothing.
CREATE INDEX deliveries_in_quarantine ON deliveries (webhook) WHERE place = 40;
