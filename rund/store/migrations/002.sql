-- What is wrong with a run's row, of which only what can still be read is shown; NULL: nothing.
ALTER TABLE runs ADD COLUMN damage TEXT;
