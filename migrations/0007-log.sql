-- The Merkle tree over the leaves, and what was signed of it (docs/log.md).

-- Hashes over full tiles: row n of level l is the RFC 6962 hash over the leaves from n * 256^l up to (n + 1) * 256^l. Level 0 is the table leaf
-- itself. Everything here follows from leaf, so it does not matter who works it out, nor how often.
CREATE TABLE tree_node (
  level smallint NOT NULL CHECK (level > 0),
  n     bigint NOT NULL,
  hash  bytea NOT NULL CHECK (octet_length(hash) = 32),
  PRIMARY KEY (level, n)
);
CREATE TRIGGER tree_node_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON tree_node FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- One row per origin; the latest epoch is in force. Size and root are those of its last checkpoint: who signs the next one must find them here
-- unchanged, and must have proven that the tree goes on from there.
CREATE TABLE log (
  epoch     int PRIMARY KEY,
  origin    text COLLATE "C" NOT NULL UNIQUE,
  first_idx bigint NOT NULL,              -- from here on this origin signs; of a later epoch the place of its log.started
  size      bigint NOT NULL DEFAULT 0,
  root      bytea,                        -- null until the first checkpoint
  signed_at timestamptz
) WITH (fillfactor = 50);

-- Of the last hour all, of the time before the last of each hour and those a witness has cosigned.
CREATE TABLE checkpoint (
  origin       text COLLATE "C" NOT NULL,
  size         bigint NOT NULL,
  root         bytea NOT NULL,
  note         text NOT NULL,             -- as it was signed
  cosignatures text NOT NULL DEFAULT '',  -- signature lines of witnesses
  signed_at    timestamptz NOT NULL,
  PRIMARY KEY (origin, size)
);

-- Public keys that have signed: rotation forgets none.
CREATE TABLE log_key (
  origin     text COLLATE "C" NOT NULL,
  vkey       text COLLATE "C" NOT NULL,
  first_size bigint NOT NULL,             -- of the first checkpoint it signed
  PRIMARY KEY (origin, vkey)
);

-- Places outside that keep checkpoints.
CREATE TABLE anchor (
  name   text COLLATE "C" PRIMARY KEY,
  due_at timestamptz NOT NULL DEFAULT '-infinity',  -- whoever moves it on sends next
  origin text COLLATE "C",                          -- what it has
  size   bigint,
  at     timestamptz,
  tries  int NOT NULL DEFAULT 0,                    -- that failed since it took one
  error  text
);
