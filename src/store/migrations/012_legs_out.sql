-- Whom out in the world the call was connected to by the phone tree or by a transfer, in order, as JSON objects: `to`, the
-- `trunk` that carried that leg, and `by`, the phone of the clinic that sent the other party there, if one did.
ALTER TABLE calls ADD COLUMN legs_out TEXT NOT NULL DEFAULT '[]';
