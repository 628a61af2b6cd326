-- Whether a device was linked as far as the router knew: the node is told, so that one that has lost its keys
-- does not say that nothing was linked. What was deleted before this column was there may have been linked.
ALTER TABLE retirements ADD COLUMN linked integer NOT NULL DEFAULT 1;
