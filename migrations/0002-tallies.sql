-- The aggregate views behind /v1/status, kept by the follower "tallies". They can be dropped and folded again from the ledger at any time.
CREATE TABLE contract_tally (
  tenant     text COLLATE "C" NOT NULL,
  agent      text COLLATE "C" NOT NULL,   -- '' where no agent was found
  capability text COLLATE "C" NOT NULL,   -- '' where none was registered
  status     text COLLATE "C" NOT NULL,   -- requested | completed | failed | cancelled
  n          bigint NOT NULL,
  PRIMARY KEY (tenant, agent, capability, status)
) WITH (fillfactor = 50);
CREATE TABLE session_tally (
  tenant text COLLATE "C" NOT NULL,
  state  text COLLATE "C" NOT NULL,       -- opened | closed
  n      bigint NOT NULL,
  PRIMARY KEY (tenant, state)
) WITH (fillfactor = 50);
