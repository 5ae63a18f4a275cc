-- One day of ticks.
--
-- What every new daily database is made from, unless `create.schema` names another file. Rules:
--   * Every statement is IF NOT EXISTS: the file may be run twice, and a writer may run its own
--     CREATE TABLE IF NOT EXISTS ticks (...) before or after it.
--   * No tick is ever refused: no triggers, no foreign keys, no CHECKs, no generated columns, and
--     NOT NULL only where a row would not be a tick without the value. Quality is measured
--     afterwards (data_quality), it is not enforced at the expense of the writer.
--   * Nothing newer than SQLite 3.8.2: defaults are computed by the *writer's* SQLite, which may be old.
--   * Times are Unix milliseconds, UTC.

CREATE TABLE IF NOT EXISTS ticks (
    -- An alias of the rowid: costs nothing and is the order of arrival. No AUTOINCREMENT, which
    -- would write a second table in every transaction.
    id         INTEGER PRIMARY KEY,
    symbol     TEXT    NOT NULL,
    timestamp  INTEGER NOT NULL,
    bid        REAL    NOT NULL,
    ask        REAL    NOT NULL,
    -- Optional, and NULL (no bytes) when the writer leaves it out: the views below then compute it.
    -- A generated column would refuse a writer that inserts it.
    spread     REAL,
    volume     REAL    DEFAULT 0,
    lp_source  TEXT,
    flags      INTEGER DEFAULT 0,
    -- When the row was written. unixepoch('subsec') is shorter but needs SQLite 3.42.
    created_at INTEGER DEFAULT (CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER)),
    -- This is also the index for time ranges of one symbol: SQLite keeps a B-tree of
    -- (symbol, timestamp, id) for it. A second one on the same columns would never be needed, makes
    -- the file 21 % larger and inserting 65 % slower; a descending one, half empty, 36 % larger
    -- (1,000,000 ticks of 100 symbols: 117.9 MB as it is, 142.7 MB, 160.2 MB).
    UNIQUE (symbol, timestamp)
);

-- Time ranges over all symbols, and recent_ticks. Ascending on purpose: ticks arrive in this order,
-- so its pages fill; a descending one leaves them half empty (17.2 MB here, 30.1 MB descending).
CREATE INDEX IF NOT EXISTS idx_ticks_timestamp ON ticks (timestamp);

-- What is known about a symbol. Optional: a tick needs no row here.
CREATE TABLE IF NOT EXISTS symbols (
    symbol         TEXT PRIMARY KEY,
    description    TEXT,
    asset_class    TEXT,     -- fx, metal, index, ...
    base_currency  TEXT,
    quote_currency TEXT,
    tick_size      REAL,
    contract_size  REAL,
    created_at     INTEGER DEFAULT (CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER))
) WITHOUT ROWID;

-- What is known about a liquidity provider. Optional as well.
CREATE TABLE IF NOT EXISTS lp_sources (
    lp_source   TEXT PRIMARY KEY,
    description TEXT,
    kind        TEXT,        -- bank, ecn, aggregator, ...
    created_at  INTEGER DEFAULT (CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER))
) WITHOUT ROWID;

-- Which day this file is and who made it: one row.
CREATE TABLE IF NOT EXISTS partition_info (
    day            TEXT PRIMARY KEY,  -- YYYY-MM-DD, UTC
    stream         TEXT,
    created_by     TEXT,
    schema_version INTEGER DEFAULT 1,
    created_at     INTEGER DEFAULT (CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER))
) WITHOUT ROWID;

-- Results of checks, one row for each symbol and check; empty while the day is being written.
CREATE TABLE IF NOT EXISTS data_quality (
    symbol     TEXT NOT NULL,
    check_name TEXT NOT NULL,         -- crossed, gap, stale, ...
    failures   INTEGER DEFAULT 0,     -- how many ticks did not pass
    detail     TEXT,
    checked_at INTEGER DEFAULT (CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER)),
    PRIMARY KEY (symbol, check_name)
) WITHOUT ROWID;

-- The last hour of this file, newest first. Counted from its newest tick, not from the present, so
-- that it answers for an old day too.
CREATE VIEW IF NOT EXISTS recent_ticks AS
SELECT
    id,
    strftime('%Y-%m-%d %H:%M:%f', timestamp / 1000.0, 'unixepoch') AS time,
    symbol,
    timestamp,
    bid,
    ask,
    coalesce(spread, ask - bid) AS spread,
    volume,
    lp_source,
    flags
FROM ticks
WHERE timestamp > (SELECT max(timestamp) FROM ticks) - 3600000
ORDER BY timestamp DESC, id DESC;

CREATE VIEW IF NOT EXISTS symbol_stats AS
SELECT
    symbol,
    count(*) AS ticks,
    min(timestamp) AS first_tick,
    max(timestamp) AS last_tick,
    min(bid) AS lowest_bid,
    max(ask) AS highest_ask,
    avg(coalesce(spread, ask - bid)) AS average_spread,
    total(volume) AS volume
FROM ticks
GROUP BY symbol;

-- The version of this file; 0 is a database that was made by somebody else.
PRAGMA user_version = 1;
