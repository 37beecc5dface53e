-- The ledger. docs/ledger.md explains every table; nothing in this file is ever edited after it landed.

-- One row per stream: the compare-and-swap that decides every append.
CREATE TABLE stream_head (
  stream text COLLATE "C" PRIMARY KEY,
  seq    bigint NOT NULL,
  head   bytea  NOT NULL,                 -- hash of the stream's last record
  base   bytea  NOT NULL                  -- the head this last claim was built on, '' for the first; carries the expected head into ON CONFLICT
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02);

-- The record is the truth; every other column repeats a member of it so that it can be searched. verify compares them all.
CREATE TABLE event (
  id          bigint GENERATED ALWAYS AS IDENTITY (CACHE 1) PRIMARY KEY,
  event_id    text COLLATE "C" NOT NULL UNIQUE,
  stream      text COLLATE "C" NOT NULL,
  seq         bigint NOT NULL,
  type        text COLLATE "C" NOT NULL,
  time        text COLLATE "C" NOT NULL,
  task        text COLLATE "C",
  cause       text COLLATE "C",
  in_reply_to text COLLATE "C",
  from_agent  text COLLATE "C",
  to_agent    text COLLATE "C",
  capability  text COLLATE "C",
  status      text COLLATE "C",
  error_code  text COLLATE "C",
  record      bytea NOT NULL,
  hash        bytea NOT NULL CHECK (hash = sha256('\x00'::bytea || record)),
  UNIQUE (stream, seq)
);
-- Alarms, not locks: the compare-and-swap on stream_head decides, these fire on a bug.
CREATE UNIQUE INDEX event_one_terminal ON event (in_reply_to) WHERE type = 'contract.response';
CREATE UNIQUE INDEX event_one_seal ON event (stream) WHERE type = 'session.closed';

-- The erasable part: the JCS bytes of [salt, name, value]. The record holds only their digest. No foreign key here and on leaf: both are written
-- by joining the event they belong to, a check per row would lock every event again, and verify finds what belongs to nothing.
CREATE TABLE payload (
  event  bigint NOT NULL,                 -- event.id
  name   text COLLATE "C" NOT NULL,
  bytes  bytea NOT NULL,
  key_id text,                            -- null: not encrypted
  PRIMARY KEY (event, name)
);

-- Appended but not yet sequenced. A row leaves in the transaction that gives its event a leaf.
CREATE TABLE pending (
  id bigint PRIMARY KEY
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

-- The global order. idx is dense from 0 and never restarts.
CREATE TABLE leaf (
  idx          bigint PRIMARY KEY,
  event        bigint NOT NULL UNIQUE,    -- event.id
  hash         bytea NOT NULL,
  sequenced_at timestamptz NOT NULL,
  digest       bytea NOT NULL             -- SHA-256 over the other four, so that a damaged row is found; no part of the tree
);

-- Whoever holds this row's lock is the sequencer.
CREATE TABLE sequencer (
  one          boolean PRIMARY KEY DEFAULT true CHECK (one),
  size         bigint NOT NULL,           -- the next idx
  sequenced_at timestamptz NOT NULL       -- never decreases
) WITH (fillfactor = 50);
INSERT INTO sequencer (size, sequenced_at) VALUES (0, '-infinity');

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP; END $$;
CREATE TRIGGER event_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON event FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER leaf_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON leaf FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- REQUESTs without a RESPONSE. Deadlines are on the database's clock.
CREATE TABLE open_request (
  id       text COLLATE "C" PRIMARY KEY,
  stream   text COLLATE "C" NOT NULL,
  owner    text COLLATE "C" NOT NULL,
  deadline timestamptz NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
CREATE INDEX open_request_stream ON open_request (stream);

-- Processes that may own open requests.
CREATE TABLE instance (
  owner   text COLLATE "C" PRIMARY KEY,
  seen_at timestamptz NOT NULL
);

CREATE TABLE idempotency (
  scope   text COLLATE "C" NOT NULL,      -- tenant and principal
  key     bytea NOT NULL,                 -- SHA-256 of the caller's key
  request text COLLATE "C" NOT NULL,      -- the REQUEST it was first used for
  salt    bytea NOT NULL,
  body    bytea NOT NULL,                 -- salted hash of the body
  at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (scope, key)
);
CREATE INDEX idempotency_at ON idempotency (at);

-- Erasable: with the disclosure "session" of a stream's first record, all that ties the caller's session id to a stream.
CREATE TABLE session (
  tenant  text COLLATE "C" NOT NULL,
  name    text COLLATE "C" NOT NULL,
  stream  text COLLATE "C" NOT NULL UNIQUE,
  earlier text[] NOT NULL DEFAULT '{}',   -- streams of the same name that idleness closed, oldest first
  PRIMARY KEY (tenant, name)
);

-- Readers of the sequenced ledger.
CREATE TABLE follower (
  name   text COLLATE "C" PRIMARY KEY,
  cursor bigint NOT NULL,                 -- last idx handled, -1 before the first
  owner  text,                            -- lease, only for followers whose effect is outside this database
  until  timestamptz,
  token  bigint NOT NULL DEFAULT 0,
  error  text                             -- of the last failed batch, null after a good one
);
CREATE TABLE parked (
  follower text COLLATE "C" NOT NULL REFERENCES follower (name),
  stream   text COLLATE "C" NOT NULL,
  from_idx bigint NOT NULL,
  since    timestamptz NOT NULL DEFAULT clock_timestamp(),
  error    text NOT NULL,
  due      boolean NOT NULL DEFAULT false, -- somebody asked for another try; whoever follows next makes it
  PRIMARY KEY (follower, stream)
);
