-- The contracts of a task, for GET and DELETE /v1/tasks/{id}. Task ids grow with time, so every entry goes to the end of the index.
CREATE INDEX event_task ON event (task) WHERE type = 'contract.request';
-- Tasks somebody wants ended. The process that runs one looks here; rows outlive the longest task and are then removed.
CREATE TABLE task_cancel (
  task text COLLATE "C" PRIMARY KEY,
  at   timestamptz NOT NULL DEFAULT clock_timestamp()
);
