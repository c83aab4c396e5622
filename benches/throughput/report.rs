//! The table.

use std::collections::BTreeMap;

use crate::load::Load;

/// What a send may cost the service at most, with fsync `everysec`, beside the row that does the
/// least. There is no such target for Redis: a send is more than the bare script since it files the
/// conversation with both users and tells them. Its target is another one.
const SERVICE_TARGET: f64 = 1.7;
/// What a send may cost Redis at most, in times of the bare script.
const SEND_TARGET: f64 = 6.0;
/// All CPU of a send at most, in times of the least service and the bare script.
const WHOLE_TARGET: f64 = 3.4;
/// What a page of an inbox of 10,000 may cost beside the same page of one of 20.
const INBOX_TARGET: f64 = 1.5;
/// Messages a second that are to be imported.
const IMPORT_TARGET: f64 = 20_000.0;
/// What a conversation of a million may cost beside one of ten and still count as no growth: the
/// noise of a machine that is not ours alone.
const GROWTH_TARGET: f64 = 1.25;
/// What a send with a token may cost beside the same send to an open service.
const TOKEN_TARGET: f64 = 1.25;

/// One kind of request, measured several times.
pub struct Row {
    name: &'static str,
    rounds: Vec<Round>,
}

/// Requests a second, milliseconds, and microseconds of CPU a request.
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

    /// Adds a round and the microseconds of CPU it took in all.
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

    /// The median of a figure; none if it was not measured.
    fn median(&self, figure: impl Fn(&Round) -> Option<f64>) -> Option<f64> {
        let mut figures: Vec<_> = self.rounds.iter().filter_map(figure).collect();
        figures.sort_by(f64::total_cmp);
        figures.get(figures.len() / 2).copied()
    }

    fn service(&self) -> Option<f64> {
        self.median(|round| round.service)
    }

    fn redis(&self) -> Option<f64> {
        self.median(|round| round.redis)
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

fn text(figure: Option<f64>, digits: usize) -> String {
    figure.map_or_else(|| "-".to_owned(), |figure| format!("{figure:.digits$}"))
}

/// What a figure is to be.
#[derive(Clone, Copy)]
pub enum Target {
    AtMost(f64),
    AtLeast(f64),
}

/// All rows, as text, the ratios of some, and figures of other kinds.
pub struct Report {
    table: String,
    ratios: String,
    figures: String,
    missed: Vec<String>,
}

impl Report {
    pub fn new(workers: usize) -> Self {
        let table = format!(
            "\n64 connections, {workers} workers, 10,000 users, bodies of 100 bytes; medians of interleaved rounds\n\n\
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
            figures: String::new(),
            missed: Vec::new(),
        }
    }

    /// Adds the rows of one durability. The targets hold for `everysec`; the cost of an fsync
    /// is the disk's.
    pub fn compared(&mut self, fsync: &str, rows: &[Row; 5]) {
        self.add(fsync, rows);
        let [baseline, ping, bare, send, _] = rows;
        let strict = fsync == "everysec";
        let sum = |one: Option<f64>, other: Option<f64>| Some(one? + other?);
        let name = format!("{fsync}: service CPU, (c) / (a)");
        self.ratio(
            &name,
            send.service(),
            baseline.service(),
            strict.then_some(SERVICE_TARGET),
        );
        let name = format!("{fsync}: service CPU, (p) / (a)");
        self.ratio(&name, ping.service(), baseline.service(), None);
        let name = format!("{fsync}: Redis CPU, (c) / (b)");
        self.ratio(&name, send.redis(), bare.redis(), None);
        let name = format!("{fsync}: all CPU, (c) / (a + b)");
        let least = sum(baseline.service(), bare.redis());
        let target = strict.then_some(WHOLE_TARGET);
        self.ratio(&name, sum(send.service(), send.redis()), least, target);
    }

    /// Adds the rows that tell whether a conversation's length costs anything.
    pub fn grown(&mut self, rows: &[Row; 4]) {
        self.add("everysec", rows);
        let [send_short, send_long, read_short, read_long] = rows;
        for (what, long, short) in [
            ("send", send_long, send_short),
            ("read", read_long, read_short),
        ] {
            let target = Some(GROWTH_TARGET);
            let name = format!("{what}: service CPU, of 1,000,000 / of 10");
            self.ratio(&name, long.service(), short.service(), target);
            let name = format!("{what}: Redis CPU, of 1,000,000 / of 10");
            self.ratio(&name, long.redis(), short.redis(), target);
        }
    }

    /// Adds the rows that tell what it costs to know who sends and how often.
    pub fn guarded(&mut self, rows: &[Row; 3]) {
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

    /// Adds the microseconds that Redis was busy with a send when it had little else to do, and the
    /// bytes that a send appends to its file.
    pub fn alone(&mut self, [bare, one, many]: [f64; 3], appended: f64) {
        self.figure("Redis time of the bare script, us", bare, 1, None);
        self.figure("(g) of POST /messages, one pair, us", one, 1, None);
        self.figure("(g) the same, 100,000 pairs, us", many, 1, None);
        let target = Some(Target::AtMost(SEND_TARGET));
        self.figure("(g) one pair / the bare script", one / bare, 2, target);
        let name = "append-only file, bytes a send of one pair";
        self.figure(name, appended, 0, None);
    }

    /// Adds the rows that tell whether an inbox's length costs anything.
    pub fn listed(&mut self, rows: &[Row; 4]) {
        self.add("everysec", rows);
        let [page_short, page_long, unread_short, unread_long] = rows;
        for (what, long, short) in [
            ("(h) inbox", page_long, page_short),
            ("(i) unread", unread_long, unread_short),
        ] {
            let target = Some(INBOX_TARGET);
            let name = format!("{what}: service CPU, of 10,000 / of 20");
            self.ratio(&name, long.service(), short.service(), target);
            let name = format!("{what}: Redis CPU, of 10,000 / of 20");
            self.ratio(&name, long.redis(), short.redis(), target);
        }
    }

    /// Adds the rows of imports.
    pub fn imported(&mut self, rows: &[Row; 2]) {
        self.add("everysec", rows);
        for row in rows {
            let name = format!("{}, messages/s", row.name);
            let per_second = row.median(|round| Some(round.per_second)).unwrap_or(0.0);
            let target = Some(Target::AtLeast(IMPORT_TARGET));
            self.figure(&name, per_second, 0, target);
        }
    }

    /// Adds what is kept in memory: for a message of a long conversation, and for a conversation
    /// of one message, by kind of key.
    pub fn weighed(&mut self, json: f64, message: f64, kinds: &BTreeMap<String, f64>) {
        self.figure("(k) JSON of a message, bytes", json, 0, None);
        let target = Some(Target::AtMost((1.15 * json + 60.0).floor()));
        self.figure("(k) a message of 1,000, bytes", message, 0, target);
        let all = kinds.values().sum();
        self.figure("(k) a conversation of 1 message, bytes", all, 0, None);
        for (kind, bytes) in kinds {
            self.figure(&format!("    of which in {kind}"), *bytes, 0, None);
        }
    }

    /// Adds a figure of its own.
    pub fn figure(&mut self, name: &str, figure: f64, digits: usize, target: Option<Target>) {
        let verdict = self.verdict(name, figure, target);
        let line = format!("| {name:<45} | {figure:>6.digits$} | {verdict:<24} |\n");
        self.figures.push_str(&line);
    }

    fn verdict(&mut self, name: &str, figure: f64, target: Option<Target>) -> String {
        let (words, target, reached) = match target {
            None => return String::new(),
            Some(Target::AtMost(target)) => ("at most", target, figure <= target),
            Some(Target::AtLeast(target)) => ("at least", target, figure >= target),
        };
        if reached {
            return format!("{words} {target}: reached");
        }
        self.missed.push(name.to_owned());
        format!("{words} {target}: MISSED")
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
            println!("service, Redis: microseconds of CPU a request\n");
            println!("| {:<45} | {:>5} | {:<21} |", "", "ratio", "target");
            println!("|{:-<47}|{:-<6}:|{:-<23}|", "", "", "");
            println!("{}", self.ratios);
        }
        println!("| {:<45} | {:>6} | {:<24} |", "", "figure", "target");
        println!("|{:-<47}|{:-<7}:|{:-<26}|", "", "", "");
        println!("{}", self.figures);
    }

    pub fn missed(self) -> Vec<String> {
        self.missed
    }
}
