-- The newest memory block of a session is asked for with every task that wants it, and must not cost a walk through the session.
CREATE INDEX event_memory_block ON event (stream, seq) WHERE type = 'session.compressed';
