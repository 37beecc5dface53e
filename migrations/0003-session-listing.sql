-- GET /v1/sessions, newest first. The first stream of a session never changes, so neither does its place: a session that goes on after
-- idleness gets a new stream, not a new place. With 205 000 sessions a page took 60 ms without this index and 0.2 ms with it.
CREATE INDEX session_newest ON session (tenant, (coalesce(earlier[1], stream)));
