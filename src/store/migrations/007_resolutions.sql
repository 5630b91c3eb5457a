-- Closing several threads at once wrote a word that no list of resolutions has.
UPDATE threads SET resolution = 'other' WHERE resolution = 'closed';
