-- What each process has under way, calls by agent, for the others: balancing (docs/routing.md). Not evidence; told anew every second.
ALTER TABLE instance ADD COLUMN load jsonb NOT NULL DEFAULT '{}';
