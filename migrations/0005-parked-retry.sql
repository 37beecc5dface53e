-- A parked stream may be tried again by itself: `retry_at` says when, null waits for a person. `tries` counts them for the event it waits at.
ALTER TABLE parked ADD COLUMN tries integer NOT NULL DEFAULT 1, ADD COLUMN retry_at timestamptz;
