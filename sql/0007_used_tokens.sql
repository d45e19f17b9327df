-- Retention looks every hour for tokens that were exchanged long ago; nine tenths of this table are such, and too young.
CREATE INDEX refresh_tokens_used ON refresh_tokens (used_at) WHERE used_at IS NOT NULL;
