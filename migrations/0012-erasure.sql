-- Payload is sealed with a data key per stream (payload.key_id), each wrapped by a master key that is kept outside this database.
CREATE TABLE payload_key (
  key_id       text COLLATE "C" PRIMARY KEY,  -- ULID
  stream       text COLLATE "C" NOT NULL,
  master       text COLLATE "C" NOT NULL,     -- master_key.id
  wrapped      bytea,                         -- null: destroyed
  destroyed_at timestamptz
) WITH (fillfactor = 90);
-- The key a stream is sealed with from here on: one, written with the first event that needs it.
CREATE UNIQUE INDEX payload_key_stream ON payload_key (stream) WHERE wrapped IS NOT NULL;

-- Master keys somebody must hold who wants to read this ledger, by their fingerprints.
CREATE TABLE master_key (
  id    text COLLATE "C" PRIMARY KEY,
  since timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- The work that payload.erased events order. Written before the event, so that whoever comes later finds what a crash left undone.
CREATE TABLE erasure (
  event_id text COLLATE "C" PRIMARY KEY,      -- of the payload.erased event; without one nothing was recorded, and nothing is erased
  tenant   text COLLATE "C" NOT NULL,
  asked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  done_at  timestamptz,
  session  text COLLATE "C"                   -- the erased name of a session, until those peers know of it who know the session by no other
);
CREATE INDEX erasure_open ON erasure (asked_at) WHERE done_at IS NULL OR session IS NOT NULL;

-- What was erased, by whose order. Found in the payload.erased records too; here it can be looked up. event 0: all of the stream.
CREATE TABLE erased (
  stream  text COLLATE "C" NOT NULL,
  event   bigint NOT NULL,
  erasure text COLLATE "C" NOT NULL,
  PRIMARY KEY (stream, event, erasure)
);

-- The holds and erasures of a tenant, which are looked at before every erasure. Contracts are not in it.
CREATE INDEX event_erasure ON event (stream, seq) WHERE type IN ('payload.erased', 'hold.placed', 'hold.released');
