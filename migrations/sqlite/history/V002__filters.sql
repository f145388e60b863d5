-- For lists of one script or one outcome, and for what is dropped first, however many runs there are.

CREATE INDEX executions_script ON executions (app_id, script, outcome, id);
CREATE INDEX executions_outcome ON executions (app_id, outcome, id);
CREATE INDEX executions_age ON executions (outcome, started_at);
