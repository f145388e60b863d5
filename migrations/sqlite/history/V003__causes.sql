-- What started a run, and the run that everything began with, for lists of one trigger or one chain.

ALTER TABLE executions ADD COLUMN trigger_name TEXT;
-- Where it is another run than this one.
ALTER TABLE executions ADD COLUMN root_id BLOB CHECK (length(root_id) = 16);
-- The last columns are there so that a filter never reads the run itself. Requests are in neither index.
CREATE INDEX executions_trigger ON executions (app_id, trigger_name, id, outcome, script) WHERE trigger_name IS NOT NULL;
CREATE INDEX executions_root ON executions (app_id, root_id, id, outcome, script, trigger_name) WHERE root_id IS NOT NULL;
