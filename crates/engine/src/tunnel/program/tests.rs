//! With real processes, counted in `/proc`.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{Launch, Next, Program};

/// Runs this test binary again, as a Patchbay that can be killed: see `a_parent`.
const PARENT: &str = "PATCHBAY_TEST_TUNNEL_PARENT";

fn launch(script: &str, mark: &str) -> Launch {
    Launch {
        program: "/bin/sh".into(),
        arguments: ["-c", script, mark].map(String::from).to_vec(),
        environment: vec![("PATH".into(), "/usr/bin:/bin".into())],
    }
}

/// Processes whose command line holds the mark, zombies left out: they have none.
fn alive(mark: &str) -> usize {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    lines.filter(|line| String::from_utf8_lossy(line).contains(mark)).count()
}

/// Waits, on the real clock, until no process with the mark is left.
fn gone(mark: &str, within: Duration) -> bool {
    let started = Instant::now();
    while started.elapsed() < within {
        if alive(mark) == 0 {
            return true;
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
    false
}

async fn line(program: &mut Program) -> String {
    match program.next().await {
        Next::Line(line) => String::from_utf8(line).unwrap(),
        Next::Ended(status) => panic!("it ended with {status:?}"),
    }
}

/// All further lines and the status.
async fn rest(program: &mut Program) -> (Vec<String>, Option<i32>) {
    let mut lines = Vec::new();
    loop {
        match program.next().await {
            Next::Line(line) => lines.push(String::from_utf8(line).unwrap()),
            Next::Ended(status) => return (lines, status.unwrap().code()),
        }
    }
}

#[tokio::test]
async fn lines_of_both_streams_are_read_and_the_status_is_the_programs_own() {
    let mut program =
        Program::start(&launch("echo out; echo err >&2; exit 255", "mark-1")).unwrap();

    let (mut lines, status) = rest(&mut program).await;

    lines.sort();
    assert_eq!(lines, ["err", "out"]);
    assert_eq!(status, Some(255));
}

#[tokio::test]
async fn it_reads_nothing_and_sees_only_its_own_environment() {
    let mut program = Program::start(&launch("cat; env; echo end", "mark-2")).unwrap();

    let (seen, _) = rest(&mut program).await;

    assert!(seen.contains(&"PATH=/usr/bin:/bin".into()), "{seen:?}");
    assert!(!seen.iter().any(|line| line.starts_with("CARGO")), "{seen:?}");
}

#[tokio::test]
async fn ending_it_lets_it_end_by_itself() {
    let script = "trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 1; done";
    let mut program = Program::start(&launch(script, "mark-3")).unwrap();
    assert_eq!(line(&mut program).await, "up");

    let status = program.end().await.unwrap();

    assert_eq!(status.code(), Some(3));
    assert!(gone("mark-3", Duration::from_secs(1)));
}

#[tokio::test]
async fn ending_a_stubborn_one_kills_it_and_what_it_started() {
    let script = r#"trap "" TERM; sh -c 'while :; do sleep 1; done' mark-4 & echo up; wait"#;
    let mut program = Program::start(&launch(script, "mark-4")).unwrap();
    assert_eq!(line(&mut program).await, "up");

    let started = Instant::now();
    program.end().await.unwrap();

    assert!(started.elapsed() > Duration::from_secs(4), "it was given no time");
    assert!(gone("mark-4", Duration::from_secs(1)));
}

#[tokio::test]
async fn what_it_started_ends_with_it() {
    let script = "sh -c 'while :; do sleep 1; done' mark-5 & echo up";
    let mut program = Program::start(&launch(script, "mark-5")).unwrap();
    assert_eq!(line(&mut program).await, "up");

    assert_eq!(rest(&mut program).await, (Vec::new(), Some(0)));

    assert!(gone("mark-5", Duration::from_secs(1)));
}

#[tokio::test]
async fn dropping_it_ends_it() {
    let mut program = Program::start(&launch("echo up; exec sleep 1000", "mark-6")).unwrap();
    assert_eq!(line(&mut program).await, "up");

    drop(program);

    assert!(gone("mark-6", Duration::from_secs(6)));
}

#[tokio::test]
async fn a_program_that_is_not_there_ends_with_a_status() {
    let missing = Launch { program: "/nonexistent/program".into(), ..launch("", "mark-7") };
    let mut program = Program::start(&missing).unwrap();

    let (lines, status) = rest(&mut program).await;

    assert_eq!(status, Some(127));
    assert!(lines[0].contains("/nonexistent/program"), "{lines:?}");
}

/// Not a test of its own: the process that the next one kills.
#[tokio::test]
async fn a_parent() {
    let Ok(script) = std::env::var(PARENT) else { return };
    let mut program = Program::start(&launch(&script, "mark-8")).unwrap();
    println!("{}", line(&mut program).await);
    rest(&mut program).await;
}

#[test]
fn killing_us_ends_it_and_what_it_started() {
    for script in [
        "sh -c 'while :; do sleep 1; done' mark-8 & echo up; wait",
        r#"trap "" TERM HUP; sh -c 'trap "" TERM; while :; do sleep 1; done' mark-8 & echo up; wait"#,
    ] {
        let mut parent = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "tunnel::program::tests::a_parent", "--nocapture"])
            .env(PARENT, script)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines =
            std::io::BufRead::lines(std::io::BufReader::new(parent.stdout.take().unwrap()));
        assert!(lines.any(|line| line.unwrap() == "up"), "the program did not start");
        // The supervising shell, the program, and what it started.
        assert!(alive("mark-8") >= 3);

        parent.kill().unwrap();
        parent.wait().unwrap();

        assert!(gone("mark-8", Duration::from_secs(8)), "{script} is still there");
    }
}
