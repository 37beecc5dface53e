-- The last time the ledger verified itself, seen by all replicas. Nothing of this is evidence: it says when to look, and what was found then.
CREATE TABLE self_check (
  one         boolean PRIMARY KEY DEFAULT true CHECK (one),
  due_at      timestamptz NOT NULL DEFAULT '-infinity',  -- whoever moves it on makes this check, and moves it on while it works
  started_at  timestamptz,
  finished_at timestamptz,
  verdict     jsonb,                                     -- of the last that came to an end
  error       text                                       -- why the last one did not; null if it did
);
INSERT INTO self_check DEFAULT VALUES;
