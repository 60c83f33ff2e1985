-- Money for tokens that OpenClaw knew no price of, and sums that need not be made anew.

-- Provider, model, OpenClaw agent and trigger, the same for all devices. Few: they are never removed.
CREATE TABLE usage_word (
    no INTEGER PRIMARY KEY,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    agent TEXT NOT NULL,
    "trigger" TEXT NOT NULL,
    UNIQUE (provider, model, agent, "trigger")
) STRICT;

INSERT INTO usage_word (provider, model, agent, "trigger")
SELECT DISTINCT provider, model, agent, "trigger" FROM usage_kind;

ALTER TABLE usage_kind ADD COLUMN word_no INTEGER NOT NULL DEFAULT 0;
UPDATE usage_kind SET word_no = (
    SELECT w.no FROM usage_word w
    WHERE w.provider = usage_kind.provider AND w.model = usage_kind.model AND w.agent = usage_kind.agent
        AND w."trigger" = usage_kind."trigger");

-- In each row, too: when a device is removed its kinds may go before its rows.
ALTER TABLE usage ADD COLUMN word_no INTEGER NOT NULL DEFAULT 0;
-- By the table of prices, for what OpenClaw had no price of; computed anew when the table changes.
ALTER TABLE usage ADD COLUMN estimate_nano_usd INTEGER NOT NULL DEFAULT 0;
-- Of `unpriced`, the tokens that the table has a price for.
ALTER TABLE usage ADD COLUMN estimated INTEGER NOT NULL DEFAULT 0;
-- Of cost and estimate, what a flat-rate plan covers: worth so much, and not spent.
ALTER TABLE usage ADD COLUMN flat_nano_usd INTEGER NOT NULL DEFAULT 0;
UPDATE usage SET word_no = (SELECT word_no FROM usage_kind WHERE no = kind_no);

ALTER TABLE usage_total ADD COLUMN estimate_nano_usd INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage_total ADD COLUMN estimated INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage_total ADD COLUMN flat_nano_usd INTEGER NOT NULL DEFAULT 0;

-- The sum of all devices' counted rows. Ten thousand devices have a thousand times as many rows as this.
CREATE TABLE usage_fleet (
    quarter INTEGER NOT NULL,
    word_no INTEGER NOT NULL,
    n INTEGER NOT NULL,                   -- rows that are added up here
    turns INTEGER NOT NULL,
    error_turns INTEGER NOT NULL,
    unmetered_turns INTEGER NOT NULL,
    input INTEGER NOT NULL,
    output INTEGER NOT NULL,
    cache_read INTEGER NOT NULL,
    cache_write INTEGER NOT NULL,
    reasoning INTEGER NOT NULL,
    cost_nano_usd INTEGER NOT NULL,
    unpriced INTEGER NOT NULL,
    estimate_nano_usd INTEGER NOT NULL,
    estimated INTEGER NOT NULL,
    flat_nano_usd INTEGER NOT NULL,
    PRIMARY KEY (quarter, word_no)
) STRICT, WITHOUT ROWID;

-- A device's counted rows by day of UTC, for questions about a span in which the time does not matter.
CREATE TABLE usage_day (
    device_no INTEGER NOT NULL REFERENCES device (no) ON DELETE CASCADE,
    day INTEGER NOT NULL,                 -- days since 1970
    word_no INTEGER NOT NULL,
    n INTEGER NOT NULL,
    turns INTEGER NOT NULL,
    error_turns INTEGER NOT NULL,
    unmetered_turns INTEGER NOT NULL,
    input INTEGER NOT NULL,
    output INTEGER NOT NULL,
    cache_read INTEGER NOT NULL,
    cache_write INTEGER NOT NULL,
    reasoning INTEGER NOT NULL,
    cost_nano_usd INTEGER NOT NULL,
    unpriced INTEGER NOT NULL,
    estimate_nano_usd INTEGER NOT NULL,
    estimated INTEGER NOT NULL,
    flat_nano_usd INTEGER NOT NULL,
    PRIMARY KEY (device_no, day, word_no)
) STRICT, WITHOUT ROWID;

INSERT INTO usage_fleet
SELECT quarter, word_no, count(*),
    sum(turns), sum(error_turns), sum(unmetered_turns), sum(input), sum(output), sum(cache_read), sum(cache_write),
    sum(reasoning), sum(cost_nano_usd), sum(unpriced), sum(estimate_nano_usd), sum(estimated), sum(flat_nano_usd)
FROM usage WHERE counted GROUP BY quarter, word_no;

INSERT INTO usage_day
SELECT device_no, quarter / 96, word_no, count(*),
    sum(turns), sum(error_turns), sum(unmetered_turns), sum(input), sum(output), sum(cache_read), sum(cache_write),
    sum(reasoning), sum(cost_nano_usd), sum(unpriced), sum(estimate_nano_usd), sum(estimated), sum(flat_nano_usd)
FROM usage WHERE counted GROUP BY 1, 2, 3;

-- Kept by triggers, so that no way of changing a row can forget them; removing a device is one, too.
CREATE TRIGGER usage_row_added AFTER INSERT ON usage WHEN NEW.counted BEGIN
    INSERT INTO usage_fleet VALUES (NEW.quarter, NEW.word_no, 1,
        NEW.turns, NEW.error_turns, NEW.unmetered_turns, NEW.input, NEW.output, NEW.cache_read, NEW.cache_write,
        NEW.reasoning, NEW.cost_nano_usd, NEW.unpriced, NEW.estimate_nano_usd, NEW.estimated, NEW.flat_nano_usd)
    ON CONFLICT DO UPDATE SET n = n + 1,
        turns = turns + excluded.turns, error_turns = error_turns + excluded.error_turns,
        unmetered_turns = unmetered_turns + excluded.unmetered_turns, input = input + excluded.input,
        output = output + excluded.output, cache_read = cache_read + excluded.cache_read,
        cache_write = cache_write + excluded.cache_write, reasoning = reasoning + excluded.reasoning,
        cost_nano_usd = cost_nano_usd + excluded.cost_nano_usd, unpriced = unpriced + excluded.unpriced,
        estimate_nano_usd = estimate_nano_usd + excluded.estimate_nano_usd,
        estimated = estimated + excluded.estimated, flat_nano_usd = flat_nano_usd + excluded.flat_nano_usd;
    INSERT INTO usage_day VALUES (NEW.device_no, NEW.quarter / 96, NEW.word_no, 1,
        NEW.turns, NEW.error_turns, NEW.unmetered_turns, NEW.input, NEW.output, NEW.cache_read, NEW.cache_write,
        NEW.reasoning, NEW.cost_nano_usd, NEW.unpriced, NEW.estimate_nano_usd, NEW.estimated, NEW.flat_nano_usd)
    ON CONFLICT DO UPDATE SET n = n + 1,
        turns = turns + excluded.turns, error_turns = error_turns + excluded.error_turns,
        unmetered_turns = unmetered_turns + excluded.unmetered_turns, input = input + excluded.input,
        output = output + excluded.output, cache_read = cache_read + excluded.cache_read,
        cache_write = cache_write + excluded.cache_write, reasoning = reasoning + excluded.reasoning,
        cost_nano_usd = cost_nano_usd + excluded.cost_nano_usd, unpriced = unpriced + excluded.unpriced,
        estimate_nano_usd = estimate_nano_usd + excluded.estimate_nano_usd,
        estimated = estimated + excluded.estimated, flat_nano_usd = flat_nano_usd + excluded.flat_nano_usd;
END;

CREATE TRIGGER usage_row_changed AFTER UPDATE ON usage WHEN OLD.counted OR NEW.counted BEGIN
    INSERT INTO usage_fleet VALUES (NEW.quarter, NEW.word_no, NEW.counted - OLD.counted,
        NEW.counted * NEW.turns - OLD.counted * OLD.turns,
        NEW.counted * NEW.error_turns - OLD.counted * OLD.error_turns,
        NEW.counted * NEW.unmetered_turns - OLD.counted * OLD.unmetered_turns,
        NEW.counted * NEW.input - OLD.counted * OLD.input, NEW.counted * NEW.output - OLD.counted * OLD.output,
        NEW.counted * NEW.cache_read - OLD.counted * OLD.cache_read,
        NEW.counted * NEW.cache_write - OLD.counted * OLD.cache_write,
        NEW.counted * NEW.reasoning - OLD.counted * OLD.reasoning,
        NEW.counted * NEW.cost_nano_usd - OLD.counted * OLD.cost_nano_usd,
        NEW.counted * NEW.unpriced - OLD.counted * OLD.unpriced,
        NEW.counted * NEW.estimate_nano_usd - OLD.counted * OLD.estimate_nano_usd,
        NEW.counted * NEW.estimated - OLD.counted * OLD.estimated,
        NEW.counted * NEW.flat_nano_usd - OLD.counted * OLD.flat_nano_usd)
    ON CONFLICT DO UPDATE SET n = n + excluded.n,
        turns = turns + excluded.turns, error_turns = error_turns + excluded.error_turns,
        unmetered_turns = unmetered_turns + excluded.unmetered_turns, input = input + excluded.input,
        output = output + excluded.output, cache_read = cache_read + excluded.cache_read,
        cache_write = cache_write + excluded.cache_write, reasoning = reasoning + excluded.reasoning,
        cost_nano_usd = cost_nano_usd + excluded.cost_nano_usd, unpriced = unpriced + excluded.unpriced,
        estimate_nano_usd = estimate_nano_usd + excluded.estimate_nano_usd,
        estimated = estimated + excluded.estimated, flat_nano_usd = flat_nano_usd + excluded.flat_nano_usd;
    DELETE FROM usage_fleet WHERE quarter = NEW.quarter AND word_no = NEW.word_no AND n = 0;
    INSERT INTO usage_day VALUES (NEW.device_no, NEW.quarter / 96, NEW.word_no, NEW.counted - OLD.counted,
        NEW.counted * NEW.turns - OLD.counted * OLD.turns,
        NEW.counted * NEW.error_turns - OLD.counted * OLD.error_turns,
        NEW.counted * NEW.unmetered_turns - OLD.counted * OLD.unmetered_turns,
        NEW.counted * NEW.input - OLD.counted * OLD.input, NEW.counted * NEW.output - OLD.counted * OLD.output,
        NEW.counted * NEW.cache_read - OLD.counted * OLD.cache_read,
        NEW.counted * NEW.cache_write - OLD.counted * OLD.cache_write,
        NEW.counted * NEW.reasoning - OLD.counted * OLD.reasoning,
        NEW.counted * NEW.cost_nano_usd - OLD.counted * OLD.cost_nano_usd,
        NEW.counted * NEW.unpriced - OLD.counted * OLD.unpriced,
        NEW.counted * NEW.estimate_nano_usd - OLD.counted * OLD.estimate_nano_usd,
        NEW.counted * NEW.estimated - OLD.counted * OLD.estimated,
        NEW.counted * NEW.flat_nano_usd - OLD.counted * OLD.flat_nano_usd)
    ON CONFLICT DO UPDATE SET n = n + excluded.n,
        turns = turns + excluded.turns, error_turns = error_turns + excluded.error_turns,
        unmetered_turns = unmetered_turns + excluded.unmetered_turns, input = input + excluded.input,
        output = output + excluded.output, cache_read = cache_read + excluded.cache_read,
        cache_write = cache_write + excluded.cache_write, reasoning = reasoning + excluded.reasoning,
        cost_nano_usd = cost_nano_usd + excluded.cost_nano_usd, unpriced = unpriced + excluded.unpriced,
        estimate_nano_usd = estimate_nano_usd + excluded.estimate_nano_usd,
        estimated = estimated + excluded.estimated, flat_nano_usd = flat_nano_usd + excluded.flat_nano_usd;
    DELETE FROM usage_day WHERE device_no = NEW.device_no AND day = NEW.quarter / 96 AND word_no = NEW.word_no AND n = 0;
END;

CREATE TRIGGER usage_row_removed AFTER DELETE ON usage WHEN OLD.counted BEGIN
    UPDATE usage_fleet SET n = n - 1,
        turns = turns - OLD.turns, error_turns = error_turns - OLD.error_turns,
        unmetered_turns = unmetered_turns - OLD.unmetered_turns, input = input - OLD.input,
        output = output - OLD.output, cache_read = cache_read - OLD.cache_read,
        cache_write = cache_write - OLD.cache_write, reasoning = reasoning - OLD.reasoning,
        cost_nano_usd = cost_nano_usd - OLD.cost_nano_usd, unpriced = unpriced - OLD.unpriced,
        estimate_nano_usd = estimate_nano_usd - OLD.estimate_nano_usd, estimated = estimated - OLD.estimated,
        flat_nano_usd = flat_nano_usd - OLD.flat_nano_usd
    WHERE quarter = OLD.quarter AND word_no = OLD.word_no;
    DELETE FROM usage_fleet WHERE quarter = OLD.quarter AND word_no = OLD.word_no AND n = 0;
    UPDATE usage_day SET n = n - 1,
        turns = turns - OLD.turns, error_turns = error_turns - OLD.error_turns,
        unmetered_turns = unmetered_turns - OLD.unmetered_turns, input = input - OLD.input,
        output = output - OLD.output, cache_read = cache_read - OLD.cache_read,
        cache_write = cache_write - OLD.cache_write, reasoning = reasoning - OLD.reasoning,
        cost_nano_usd = cost_nano_usd - OLD.cost_nano_usd, unpriced = unpriced - OLD.unpriced,
        estimate_nano_usd = estimate_nano_usd - OLD.estimate_nano_usd, estimated = estimated - OLD.estimated,
        flat_nano_usd = flat_nano_usd - OLD.flat_nano_usd
    WHERE device_no = OLD.device_no AND day = OLD.quarter / 96 AND word_no = OLD.word_no;
    DELETE FROM usage_day WHERE device_no = OLD.device_no AND day = OLD.quarter / 96 AND word_no = OLD.word_no AND n = 0;
END;

-- Which table of prices all rows were computed with.
CREATE TABLE usage_prices (one INTEGER PRIMARY KEY CHECK (one = 1), fingerprint TEXT NOT NULL) STRICT;
