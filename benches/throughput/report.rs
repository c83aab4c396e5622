//! The tables that a run prints.

use std::collections::BTreeMap;

use crate::load::Load;

/// Maximum CPU of the service for a send, with fsync `everysec`, relative to row (a).
const SERVICE_TARGET: f64 = 1.7;
/// Maximum time of Redis for a send, relative to the bare script: of one pair, and of 100,000.
const SEND_TARGET: f64 = 5.2;
const SPREAD_SEND_TARGET: f64 = 8.0;
/// Maximum CPU of service and Redis for a send, relative to row (a) plus the bare script.
const TOTAL_TARGET: f64 = 2.8;
/// Minimum number of messages imported per second.
const IMPORT_TARGET: f64 = 20_000.0;
/// Maximum cost of a send with a token relative to the same send without authentication.
const TOKEN_TARGET: f64 = 1.25;

/// One kind of request, measured several times.
pub struct Row {
    pub name: &'static str,
    rounds: Vec<Round>,
}

/// Requests per second, latencies in milliseconds, and microseconds of CPU per request.
struct Round {
    per_second: f64,
    p50: Option<f64>,
    p99: Option<f64>,
    service: Option<f64>,
    redis: Option<f64>,
}

impl Row {
    pub fn new(name: &'static str) -> Self {
        let rounds = Vec::new();
        Self { name, rounds }
    }

    /// Adds a round, with its total CPU in microseconds.
    pub fn add(&mut self, load: &Load, service: Option<f64>, redis: Option<f64>) {
        let each = |cpu: f64| cpu / f64::from(load.requests.max(1));
        self.rounds.push(Round {
            per_second: load.per_second,
            p50: load.p50,
            p99: load.p99,
            service: service.map(each),
            redis: redis.map(each),
        });
    }

    /// The median of a figure; `None` if it was not measured.
    fn median(&self, figure: impl Fn(&Round) -> Option<f64>) -> Option<f64> {
        let mut figures: Vec<_> = self.rounds.iter().filter_map(figure).collect();
        figures.sort_by(f64::total_cmp);
        figures.get(figures.len() / 2).copied()
    }

    pub fn service(&self) -> Option<f64> {
        self.median(|round| round.service)
    }

    pub fn redis(&self) -> Option<f64> {
        self.median(|round| round.redis)
    }

    /// Requests per second, and the latencies of half and of 99 % of the requests in milliseconds.
    pub fn speed(&self) -> [f64; 3] {
        let per_second = self.median(|round| Some(round.per_second));
        let (p50, p99) = (
            self.median(|round| round.p50),
            self.median(|round| round.p99),
        );
        [per_second, p50, p99].map(|figure| figure.unwrap_or(f64::NAN))
    }

    fn line(&self, fsync: &str) -> String {
        let per_second = self.median(|round| Some(round.per_second));
        let (p50, p99) = (self.median(|r| r.p50), self.median(|r| r.p99));
        format!(
            "| {:<34} | {fsync:<8} | {:>10} | {:>6} | {:>6} | {:>7} | {:>7} |\n",
            self.name,
            text(per_second, 0),
            text(p50, 2),
            text(p99, 2),
            text(self.service(), 1),
            text(self.redis(), 1),
        )
    }
}

/// A figure, or a dash if there is none.
pub fn text(figure: Option<f64>, digits: usize) -> String {
    figure.map_or_else(|| "-".to_owned(), |figure| format!("{figure:.digits$}"))
}

/// A bound that a figure should keep.
#[derive(Clone, Copy)]
pub enum Target {
    AtMost(f64),
    AtLeast(f64),
}

/// The tables as text: rows, ratios between rows, tables of parts, and other figures.
pub struct Report {
    table: String,
    ratios: String,
    tables: String,
    figures: String,
    missed: Vec<String>,
}

impl Report {
    pub fn new(workers: usize) -> Self {
        let table = format!(
            "\n64 connections, {workers} workers, 10,000 users, bodies of 100 bytes; medians of alternating rounds\n\n\
             | {:<34} | {:<8} | {:>10} | {:>6} | {:>6} | {:>7} | {:>7} |\n\
             |{:-<36}|{:-<10}|{:-<11}:|{:-<7}:|{:-<7}:|{:-<8}:|{:-<8}:|\n",
            "",
            "fsync",
            "requests/s",
            "p50 ms",
            "p99 ms",
            "service",
            "Redis",
            "",
            "",
            "",
            "",
            "",
            "",
            "",
        );
        Self {
            table,
            ratios: String::new(),
            tables: String::new(),
            figures: String::new(),
            missed: Vec::new(),
        }
    }

    /// Adds the rows of one durability. Targets apply to `everysec`, because the cost of an fsync
    /// depends on the disk.
    pub fn add_lower_bounds(&mut self, fsync: &str, rows: &[Row; 5]) {
        self.add(fsync, rows);
        let [baseline, ping, bare, send, _] = rows;
        let has_target = fsync == "everysec";
        let sum = |one: Option<f64>, other: Option<f64>| Some(one? + other?);
        let name = format!("{fsync}: service CPU, (c) / (a)");
        self.ratio(
            &name,
            send.service(),
            baseline.service(),
            has_target.then_some(SERVICE_TARGET),
        );
        let name = format!("{fsync}: service CPU, (p) / (a)");
        self.ratio(&name, ping.service(), baseline.service(), None);
        let name = format!("{fsync}: Redis CPU, (c) / (b)");
        self.ratio(&name, send.redis(), bare.redis(), None);
        let name = format!("{fsync}: all CPU, (c) / (a + b)");
        let least = sum(baseline.service(), bare.redis());
        let target = has_target.then_some(TOTAL_TARGET);
        self.ratio(&name, sum(send.service(), send.redis()), least, target);
    }

    /// Adds the rows that show the cost of authentication and rate limits.
    pub fn add_tokens_and_limits(&mut self, rows: &[Row; 3]) {
        self.add("everysec", rows);
        let [open, tokens, limits] = rows;
        let target = Some(TOKEN_TARGET);
        let name = "service CPU, (e) / open";
        self.ratio(name, tokens.service(), open.service(), target);
        let name = "service CPU, (f) / open";
        self.ratio(name, limits.service(), open.service(), None);
        let name = "Redis CPU, (f) / open";
        self.ratio(name, limits.redis(), open.redis(), None);
    }

    /// Adds the microseconds that Redis takes for the bare script and for a send, and the bytes that
    /// a send appends to the append-only file.
    pub fn add_redis_times(&mut self, [bare, one, many]: [f64; 3], appended: f64) {
        self.figure("Redis time of the bare script, us", bare, 1, None);
        self.figure("(g) of POST /messages, one pair, us", one, 1, None);
        self.figure("(g) the same, 100,000 pairs, us", many, 1, None);
        let target = Some(Target::AtMost(SEND_TARGET));
        self.figure("(g) one pair / the bare script", one / bare, 2, target);
        let target = Some(Target::AtMost(SPREAD_SEND_TARGET));
        self.figure(
            "(g) 100,000 pairs / the bare script",
            many / bare,
            2,
            target,
        );
        let name = "append-only file, bytes per send of one pair";
        self.figure(name, appended, 0, None);
    }

    /// Adds the rows of imports.
    pub fn add_imports(&mut self, rows: &[Row; 2]) {
        self.add("everysec", rows);
        for row in rows {
            let name = format!("{}, messages/s", row.name);
            let per_second = row.median(|round| Some(round.per_second)).unwrap_or(0.0);
            let target = Some(Target::AtLeast(IMPORT_TARGET));
            self.figure(&name, per_second, 0, target);
        }
    }

    /// Adds the memory of a message in a long conversation, and of a conversation of one message, by
    /// kind of key.
    pub fn add_memory(&mut self, json: f64, message: f64, kinds: &BTreeMap<String, f64>) {
        self.figure("(k) JSON of a message, bytes", json, 0, None);
        let target = Some(Target::AtMost((1.15 * json + 60.0).floor()));
        self.figure("(k) a message of 1,000, bytes", message, 0, target);
        let all = kinds.values().sum();
        self.figure("(k) a conversation of 1 message, bytes", all, 0, None);
        for (kind, bytes) in kinds {
            self.figure(&format!("    of which in {kind}"), *bytes, 0, None);
        }
    }

    /// Adds a table of a part.
    pub fn add_table(&mut self, table: &str) {
        self.tables += table;
    }

    /// Adds a figure to the last table.
    pub fn figure(&mut self, name: &str, figure: f64, digits: usize, target: Option<Target>) {
        let verdict = self.verdict(name, figure, target);
        let line = format!("| {name:<45} | {figure:>6.digits$} | {verdict:<24} |\n");
        self.figures.push_str(&line);
    }

    /// Compares a figure with its target, and returns what the table says about it.
    pub fn verdict(&mut self, name: &str, figure: f64, target: Option<Target>) -> String {
        let (bound, target, reached) = match target {
            None => return String::new(),
            Some(Target::AtMost(target)) => ("at most", target, figure <= target),
            Some(Target::AtLeast(target)) => ("at least", target, figure >= target),
        };
        if reached {
            return format!("{bound} {target}: reached");
        }
        self.missed.push(name.to_owned());
        format!("{bound} {target}: MISSED")
    }

    fn add(&mut self, fsync: &str, rows: &[Row]) {
        self.table.extend(rows.iter().map(|row| row.line(fsync)));
    }

    fn ratio(&mut self, name: &str, of: Option<f64>, to: Option<f64>, target: Option<f64>) {
        let (Some(of), Some(to)) = (of, to) else {
            return;
        };
        let ratio = of / to;
        let verdict = self.verdict(name, ratio, target.map(Target::AtMost));
        let line = format!("| {name:<45} | {ratio:>5.2} | {verdict:<21} |\n");
        self.ratios.push_str(&line);
    }

    pub fn print(&self) {
        if !self.ratios.is_empty() {
            println!("{}", self.table);
            println!("service, Redis: microseconds of CPU per request\n");
            println!("| {:<45} | {:>5} | {:<21} |", "", "ratio", "target");
            println!("|{:-<47}|{:-<6}:|{:-<23}|", "", "", "");
            println!("{}", self.ratios);
        }
        if !self.tables.is_empty() {
            println!("{}", self.tables);
        }
        if !self.figures.is_empty() {
            println!("| {:<45} | {:>6} | {:<24} |", "", "figure", "target");
            println!("|{:-<47}|{:-<7}:|{:-<26}|", "", "", "");
            println!("{}", self.figures);
        }
    }

    pub fn missed(self) -> Vec<String> {
        self.missed
    }
}
