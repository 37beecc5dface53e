-- What is known of agents between two events of their streams: nothing of this is evidence, all of it is observed again when it is lost.
CREATE TABLE agent_watch (
  agent       text COLLATE "C" PRIMARY KEY,
  due_at      timestamptz NOT NULL DEFAULT '-infinity',  -- whoever moves it on makes this probe
  checked_at  timestamptz,                               -- of the latest probe
  status      text,                                      -- healthy | unhealthy | unknown
  error       text,
  failures    int NOT NULL DEFAULT 0,                    -- probes that failed since the last that did not
  healthy_at  timestamptz,                               -- latest good probe or heartbeat
  calls       text,                                      -- offline | error: what real calls say; null: nothing against it
  calls_error text,
  calls_at    timestamptz,
  misses      int NOT NULL DEFAULT 0,                    -- times in a row discovery did not find it
  lease_until timestamptz                                -- null: it has none
) WITH (fillfactor = 50);
-- Addresses that are looked at again and again.
CREATE TABLE agent_source (
  url        text COLLATE "C" PRIMARY KEY,
  due_at     timestamptz NOT NULL DEFAULT '-infinity',
  protocol   text,                                       -- the one that understood it last
  etag       text,
  checked_at timestamptz,
  error      text                                        -- of the latest look, null after a good one
) WITH (fillfactor = 50);
-- The latest event of a type in an agent's stream, however many others came after it. No contract is in it: it costs the busy streams nothing.
CREATE INDEX event_agent ON event (stream, type, seq) WHERE type LIKE 'agent.%';
