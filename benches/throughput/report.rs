//! The table.

use crate::load::Load;

/// What a send may cost at most, with fsync `everysec`, beside the rows that do the least.
const SERVICE_TARGET: f64 = 1.7;
const REDIS_TARGET: f64 = 2.0;
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
    p50: f64,
    p99: f64,
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
        let (p50, p99) = (self.median(|r| Some(r.p50)), self.median(|r| Some(r.p99)));
        format!(
            "| {:<32} | {fsync:<8} | {:>10} | {:>6} | {:>6} | {:>7} | {:>7} |\n",
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

/// All rows, as text, and the ratios of some.
pub struct Report {
    table: String,
    ratios: String,
    missed: Vec<String>,
}

impl Report {
    pub fn new(workers: usize) -> Self {
        let table = format!(
            "\n64 connections, {workers} workers, 10,000 users, bodies of 100 bytes; medians of interleaved rounds\n\n\
             | {:<32} | {:<8} | {:>10} | {:>6} | {:>6} | {:>7} | {:>7} |\n\
             |{:-<34}|{:-<10}|{:-<11}:|{:-<7}:|{:-<7}:|{:-<8}:|{:-<8}:|\n",
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
            missed: Vec::new(),
        }
    }

    /// Adds the rows of one durability. The targets hold for `everysec`; the cost of an fsync
    /// is the disk's.
    pub fn compared(&mut self, fsync: &str, rows: &[Row; 5]) {
        self.add(fsync, rows);
        let [baseline, ping, bare, send, _] = rows;
        let strict = fsync == "everysec";
        let (service, redis) = (SERVICE_TARGET, REDIS_TARGET);
        let sum = |one: Option<f64>, other: Option<f64>| Some(one? + other?);
        let name = format!("{fsync}: service CPU, (c) / (a)");
        self.ratio(
            &name,
            send.service(),
            baseline.service(),
            strict.then_some(service),
        );
        let name = format!("{fsync}: service CPU, (p) / (a)");
        self.ratio(&name, ping.service(), baseline.service(), None);
        let name = format!("{fsync}: Redis CPU, (c) / (b)");
        self.ratio(&name, send.redis(), bare.redis(), strict.then_some(redis));
        let name = format!("{fsync}: all CPU, (c) / (a + b)");
        let least = sum(baseline.service(), bare.redis());
        self.ratio(&name, sum(send.service(), send.redis()), least, None);
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

    fn add(&mut self, fsync: &str, rows: &[Row]) {
        self.table.extend(rows.iter().map(|row| row.line(fsync)));
    }

    fn ratio(&mut self, name: &str, of: Option<f64>, to: Option<f64>, target: Option<f64>) {
        let (Some(of), Some(to)) = (of, to) else {
            return;
        };
        let ratio = of / to;
        let verdict = match target {
            None => String::new(),
            Some(target) if ratio <= target => format!("at most {target}: reached"),
            Some(target) => {
                self.missed.push(name.to_owned());
                format!("at most {target}: MISSED")
            }
        };
        let line = format!("| {name:<45} | {ratio:>5.2} | {verdict:<21} |\n");
        self.ratios.push_str(&line);
    }

    pub fn print(&self) {
        println!("{}", self.table);
        println!("service, Redis: microseconds of CPU a request\n");
        println!("| {:<45} | {:>5} | {:<21} |", "", "ratio", "target");
        println!("|{:-<47}|{:-<6}:|{:-<23}|", "", "", "");
        println!("{}", self.ratios);
    }

    pub fn missed(self) -> Vec<String> {
        self.missed
    }
}
