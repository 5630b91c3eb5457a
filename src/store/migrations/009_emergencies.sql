-- A phone of the clinic called an emergency number: `callee` is what it dialled. Counts in none of the day's numbers.
ALTER TABLE calls ADD COLUMN emergency INTEGER NOT NULL DEFAULT 0;
