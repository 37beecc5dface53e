-- What the append statement is given: each kind of row as one array, which costs the server half of an array for every column. The order of the
-- columns is part of the parameters' format (src/ledger/batch.ts); a changed row is a new type, since replicas of two versions run side by side.
CREATE TYPE append_head AS (stream text COLLATE "C", base bytea, seq bigint, head bytea);
CREATE TYPE append_event AS (
  stream text COLLATE "C", seq bigint, event_id text COLLATE "C", type text COLLATE "C", time text COLLATE "C", task text COLLATE "C",
  cause text COLLATE "C", in_reply_to text COLLATE "C", from_agent text COLLATE "C", to_agent text COLLATE "C", capability text COLLATE "C",
  status text COLLATE "C", error_code text COLLATE "C", record bytea, hash bytea
);
CREATE TYPE append_payload AS (event_id text COLLATE "C", name text COLLATE "C", bytes bytea, key_id text COLLATE "C");
CREATE TYPE append_open AS (id text COLLATE "C", stream text COLLATE "C", owner text COLLATE "C", secs float8);
CREATE TYPE append_use AS (stream text COLLATE "C", scope text COLLATE "C", key bytea, request text COLLATE "C", salt bytea, body bytea);
CREATE TYPE append_name AS (tenant text COLLATE "C", name text COLLATE "C", stream text COLLATE "C", previous text COLLATE "C");
CREATE TYPE append_key AS (key_id text COLLATE "C", stream text COLLATE "C", master text COLLATE "C", wrapped bytea);
