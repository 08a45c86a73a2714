//! What it costs to find an extension among ten thousand patterns, and to read a hundred thousand lines.
//!
//! `cargo bench --bench dialplan`. The yardstick is a scan that tries the same patterns one after the other.

use std::fmt::Write;
use std::hint::black_box;
use std::time::Instant;

use wirechief::dialplan::Dialplan;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PATTERNS: usize = 10_000;
const LINES: usize = 100_000;
const SEARCHES: usize = 200_000;

fn main() {
    matching();
    reading();
}

fn read(text: &str) -> Dialplan {
    let files = [("extensions.conf".into(), text.to_owned())];
    Dialplan::parse(&files).unwrap_or_else(|errors| panic!("{}", errors[0]))
}

/// Area codes, exchanges, ranges: wide and narrow patterns that overlap.
fn pattern(number: usize) -> String {
    match number % 4 {
        0 => format!("_NXX{number:05}X"),
        1 => format!("_{number:05}X."),
        2 => format!("_[2-7]X{number:05}NX"),
        _ => format!("_*{number:05}Z!"),
    }
}

fn matching() {
    let patterns: Vec<String> = (0..PATTERNS).map(pattern).collect();
    let lines: String = patterns.iter().map(|pattern| format!("exten => {pattern},1,NoOp()\n")).collect();
    let plan = read(&format!("[main]\n{lines}"));
    let numbers: Vec<String> = (0..1_000).map(|n| n * 37 % PATTERNS).flat_map(numbers).collect();
    let mut found = 0;
    let began = Instant::now();
    for number in numbers.iter().cycle().take(SEARCHES) {
        found += usize::from(plan.find("main", black_box(number)).is_some());
    }
    let each = began.elapsed() / u32::try_from(SEARCHES).unwrap_or(u32::MAX);
    println!(
        "{:40} {:10.3} µs  ({}% found)",
        "find among 10,000 patterns",
        each.as_secs_f64() * 1e6,
        found * 100 / SEARCHES
    );
    let scans = 2_000;
    let began = Instant::now();
    for number in numbers.iter().cycle().take(scans) {
        black_box(patterns.iter().filter(|pattern| fits(&pattern.as_bytes()[1..], number.as_bytes())).count());
    }
    let each = began.elapsed().as_secs_f64() / scans as f64;
    println!("{:40} {:10.3} µs", "yardstick: try them all", each * 1e6);
}

/// One number that fits, one that differs in its last place.
fn numbers(number: usize) -> [String; 2] {
    let fits = pattern(number)
        .trim_start_matches('_')
        .replace("[2-7]", "3")
        .replace(['N', 'X', 'Z'], "4")
        .replace(['.', '!'], "5");
    let mut other = fits.clone();
    other.pop();
    other.push('#');
    [fits, other]
}

fn fits(pattern: &[u8], number: &[u8]) -> bool {
    match (pattern, number) {
        ([], []) | ([b'!', ..], _) | ([b'.', ..], [_, ..]) => true,
        ([b'[', low, _, high, _, rest @ ..], [byte, number @ ..]) => (low..=high).contains(&byte) && fits(rest, number),
        ([b'X', rest @ ..], [b'0'..=b'9', number @ ..])
        | ([b'N', rest @ ..], [b'2'..=b'9', number @ ..])
        | ([b'Z', rest @ ..], [b'1'..=b'9', number @ ..]) => fits(rest, number),
        ([one, rest @ ..], [byte, number @ ..]) => one == byte && fits(rest, number),
        _ => false,
    }
}

fn reading() {
    let mut text = String::from("[globals]\nTRUNK=SIP/out\n");
    for number in 0..LINES / 5 {
        if number % 100 == 0 {
            let _ = writeln!(text, "[context-{}] ; a comment", number / 100);
        }
        let _ = write!(
            text,
            "exten => _1{number:05}X,1,NoOp(call of ${{CALLERID(num)}} to ${{EXTEN:2}})\n same => n,Set(COUNT=$[${{COUNT}} + 1])   ; one more\n\
             same => n,GotoIf($[\"${{COUNT}}\" > \"3\"]?busy)\n same => n,Dial(${{TRUNK}}/${{EXTEN}},30,g)\n same => n(busy),Hangup()\n"
        );
    }
    let began = Instant::now();
    let plan = read(&text);
    let took = began.elapsed();
    println!("{:40} {:10.1} ms", "read 100,000 lines", took.as_secs_f64() * 1e3);
    let other = read(&text);
    let began = Instant::now();
    let changes = plan.changes_to(&other).len();
    println!(
        "{:40} {:10.1} ms  ({changes} changes)",
        "compare them with themselves",
        began.elapsed().as_secs_f64() * 1e3
    );
}
