CREATE TABLE coupons (
    code        TEXT    NOT NULL PRIMARY KEY,
    percent     INTEGER NOT NULL,
    redeemed_by TEXT,
    redeemed_at BIGINT
);
