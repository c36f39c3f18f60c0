-- What the order application has in PostgreSQL. Money in minor units.
CREATE TABLE accounts (
    customer text PRIMARY KEY,
    balance bigint NOT NULL CHECK (balance >= 0)
);
-- Of the orders that stand.
CREATE TABLE payments (
    order_no text PRIMARY KEY,
    customer text NOT NULL REFERENCES accounts,
    amount bigint NOT NULL
);
