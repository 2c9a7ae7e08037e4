//! Servers that are none, or that lie: what is said to them, and what comes of it. That good ones
//! let us in is shown with a server that nobody here wrote, in `tests`.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::reach::Network;
use domain::secret::Secret;
use lettre::transport::smtp::authentication::Mechanism;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

use super::session::{Encryption, Fault, Patience, Server, Session};
use crate::outgoing::Error;
use crate::sign_in::MailLogin;

/// What a server says to begin with, and what to each line; nothing where it only listens.
type Script = fn(&str) -> Vec<u8>;

/// A server for one conversation, and the lines that it heard.
async fn server(greeting: Vec<u8>, script: Script) -> (Server, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let lines = Arc::clone(&heard);
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let (read, mut write) = stream.into_split();
        let _ = write.write_all(&greeting).await;
        let mut read = BufReader::new(read);
        loop {
            let mut line = Vec::new();
            if read.read_until(b'\n', &mut line).await.unwrap_or_default() == 0 {
                break;
            }
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            let answer = script(&line);
            lines.lock().unwrap().push(line);
            if answer == b"close" || write.write_all(&answer).await.is_err() {
                break;
            }
        }
    });
    let (host, network) = ("127.0.0.1".into(), Network::Any);
    (Server { host, port, encryption: Encryption::None, network }, heard)
}

const PATIENCE: Patience =
    Patience { connect: Duration::from_secs(5), answer: Duration::from_millis(300) };
const HELLO: &[u8] = b"220 mail.example ESMTP\r\n";

fn password(pass: &str) -> MailLogin {
    MailLogin::Password {
        user: Secret::new("ada".into()),
        pass: Secret::new(pass.into()),
        mechanisms: Vec::new(),
    }
}

/// What comes of showing `login` to a server.
async fn let_in(server: &Server, login: &MailLogin) -> Result<Mechanism, Fault> {
    let mut said = Vec::new();
    let mut session = Session::open(server, PATIENCE, &mut said).await?;
    let mechanism = session.mechanism(login)?;
    session.log_in(login, mechanism).await?;
    session.nothing().await?;
    session.close().await;
    Ok(mechanism)
}

async fn why_not(server: &Server) -> String {
    match let_in(server, &password("canary")).await {
        Ok(_) => panic!("it let us in"),
        Err(Fault::Refused(words)) => panic!("it refused us: {words}"),
        Err(Fault::Other(error)) => error.to_string(),
    }
}

fn fair(line: &str) -> Vec<u8> {
    match line.split(' ').next() {
        Some("EHLO") => b"250-mail.example\r\n250 AUTH PLAIN LOGIN XOAUTH2\r\n".into(),
        Some("AUTH") if line.starts_with("AUTH LOGIN") => b"334 VXNlcm5hbWU6\r\n".into(),
        Some("AUTH") if line.starts_with("AUTH XOAUTH2") => {
            b"334 eyJzdGF0dXMiOiI0MDAifQ==\r\n".into()
        }
        Some("") => b"535-5.7.8 the token is not\r\n535 5.7.8 accepted\r\n".into(),
        Some("AUTH") if line.ends_with("AGFkYQBjYW5hcnk=") => b"235 welcome\r\n".into(),
        Some("AUTH") => b"535 5.7.8 not you\r\n".into(),
        Some("YWRh") => b"334 UGFzc3dvcmQ6\r\n".into(),
        Some("Y2FuYXJ5") => b"235 welcome\r\n".into(),
        _ => b"250 fine\r\n".into(),
    }
}

#[tokio::test]
async fn user_and_password_are_shown_by_the_mechanism_that_is_liked_and_offered() {
    let (plain, heard) = server(HELLO.into(), fair).await;
    assert_eq!(let_in(&plain, &password("canary")).await.unwrap(), Mechanism::Plain);
    let expected =
        ["EHLO [127.0.0.1]", "AUTH PLAIN AGFkYQBjYW5hcnk=", "NOOP", "QUIT"].map(str::to_owned);
    assert_eq!(*heard.lock().unwrap(), expected);

    let (login, heard) = server(HELLO.into(), fair).await;
    let MailLogin::Password { user, pass, .. } = password("canary") else { unreachable!() };
    let mechanisms = vec![domain::connector::SmtpMechanism::Login];
    let by_login = MailLogin::Password { user, pass, mechanisms };
    assert_eq!(let_in(&login, &by_login).await.unwrap(), Mechanism::Login);
    assert_eq!(heard.lock().unwrap()[1..4], ["AUTH LOGIN", "YWRh", "Y2FuYXJ5"]);
}

#[tokio::test]
async fn what_is_refused_is_told_in_the_words_of_the_server() {
    let (password_refused, _) = server(HELLO.into(), fair).await;
    let refused = let_in(&password_refused, &password("wrong")).await.unwrap_err();
    assert!(matches!(refused, Fault::Refused(words) if words == "5.7.8 not you"));

    // A token is refused with a reason first, which has to be acknowledged.
    let (token_refused, heard) = server(HELLO.into(), fair).await;
    let token = MailLogin::Xoauth2 { user: "ada".into(), token: Secret::new("T".into()) };
    let refused = let_in(&token_refused, &token).await.unwrap_err();
    assert!(
        matches!(&refused, Fault::Refused(words) if words == "5.7.8 the token is not accepted"),
        "{refused:?}"
    );
    assert_eq!(heard.lock().unwrap()[2], "");
}

#[tokio::test]
async fn a_passing_trouble_is_no_refusal() {
    let busy: Script = |line| match line.split(' ').next() {
        Some("AUTH") => b"454 4.7.0 Temporary authentication failure\r\n".into(),
        _ => fair(line),
    };
    let (busy, _) = server(HELLO.into(), busy).await;

    let why = why_not(&busy).await;

    assert_eq!(why, "127.0.0.1 answered 454: 4.7.0 Temporary authentication failure");
}

#[tokio::test]
async fn a_server_without_starttls_is_shown_nothing() {
    let (mut stripped, heard) = server(HELLO.into(), fair).await;
    stripped.encryption = Encryption::StartTls;

    let why = why_not(&stripped).await;

    assert!(why.ends_with("it does not offer STARTTLS, and nothing is sent to it unencrypted"));
    assert_eq!(heard.lock().unwrap()[0], "EHLO [127.0.0.1]");
    assert!(heard.lock().unwrap()[1..].iter().all(|line| line == "QUIT"));
}

#[tokio::test]
async fn what_is_said_in_the_clear_after_starttls_is_not_believed() {
    let injects: Script = |line| match line {
        "STARTTLS" => b"220 go ahead\r\n250-mail.example\r\n250 AUTH PLAIN\r\n".into(),
        line if line.starts_with("EHLO") => b"250-mail.example\r\n250 STARTTLS\r\n".into(),
        _ => Vec::new(),
    };
    let (mut injecting, heard) = server(HELLO.into(), injects).await;
    injecting.encryption = Encryption::StartTls;

    let why = why_not(&injecting).await;

    assert!(why.contains("it does not answer as one that is encrypted"), "{why}");
    let heard = heard.lock().unwrap().join("\n");
    assert!(!heard.contains("AUTH"), "{heard}");
}

#[tokio::test]
async fn a_refused_starttls_ends_it() {
    let refuses: Script = |line| match line {
        "STARTTLS" => b"454 TLS not available\r\n".into(),
        line if line.starts_with("EHLO") => b"250-mail.example\r\n250 STARTTLS\r\n".into(),
        _ => b"250 fine\r\n".into(),
    };
    let (mut refusing, heard) = server(HELLO.into(), refuses).await;
    refusing.encryption = Encryption::StartTls;

    assert_eq!(why_not(&refusing).await, "127.0.0.1 answered 454: TLS not available");
    assert!(!heard.lock().unwrap().iter().any(|line| line.starts_with("AUTH")));
}

#[tokio::test]
async fn one_that_speaks_something_else_is_told_apart() {
    let silent: Script = |_| Vec::new();
    let closes: Script = |_| b"close".into();
    let web = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\n\r\n<html>".to_vec();
    let mixed = b"220-one\r\n550 other\r\n".to_vec();
    let binary = vec![0xff; 2_000].into_iter().chain(*b"\r\n").collect();
    let endless = vec![b'x'; 1024 * 1024];
    let lines = b"220-another line of many\r\n".repeat(40 * 1024);
    for (greeting, script, expected) in [
        (web, silent, "it does not speak SMTP"),
        (mixed, silent, "it does not speak SMTP"),
        (binary, silent, "it does not speak SMTP"),
        (endless, silent, "the answer of 127.0.0.1 was too large"),
        (lines, silent, "the answer of 127.0.0.1 was too large"),
        (Vec::new(), silent, "it says nothing, as one does that is encrypted"),
        (HELLO.to_vec(), silent, "it says nothing, as one does that is encrypted"),
        (HELLO.to_vec(), closes, "it closed the connection"),
        (b"554 no service\r\n".to_vec(), silent, "127.0.0.1 answered 554: no service"),
    ] {
        let (server, _) = server(greeting, script).await;
        let why = why_not(&server).await;
        assert!(why.contains(expected), "{expected}: {why}");
    }
}

#[tokio::test]
async fn one_that_hangs_or_closes_later_is_told() {
    let hangs: Script = |line| if line.starts_with("AUTH") { Vec::new() } else { fair(line) };
    let (hanging, _) = server(HELLO.into(), hangs).await;
    assert_eq!(why_not(&hanging).await, "127.0.0.1 did not answer in time");

    let closes: Script = |line| if line.starts_with("AUTH") { b"close".into() } else { fair(line) };
    let (closing, _) = server(HELLO.into(), closes).await;
    assert!(why_not(&closing).await.contains("it closed the connection"));

    let greets: Script = |line| match line.split(' ').next() {
        Some("EHLO") => fair(line),
        _ => b"334 \r\n".into(),
    };
    let (asking, _) = server(HELLO.into(), greets).await;
    assert!(why_not(&asking).await.contains("asks for more"));

    let none: Script = |_| b"250 mail.example\r\n".into();
    let (offering_none, _) = server(HELLO.into(), none).await;
    assert!(why_not(&offering_none).await.contains("it lets nobody in by PLAIN or LOGIN"));
}

#[tokio::test]
async fn one_that_speaks_in_the_clear_is_not_taken_for_an_encrypted_one() {
    let (mut clear, _) = server(HELLO.into(), fair).await;
    clear.encryption = Encryption::Implicit;

    let why = why_not(&clear).await;

    assert!(
        why.contains("it does not answer as one that is encrypted from the beginning"),
        "{why}"
    );
}

#[tokio::test]
async fn nothing_is_sent_unencrypted_to_another_computer_nor_to_addresses_that_are_not_called() {
    // An address of the documentation: nobody is called.
    let elsewhere = Server {
        host: "192.0.2.1".into(),
        port: 25,
        encryption: Encryption::None,
        network: Network::Any,
    };
    let why = why_not(&elsewhere).await;
    assert!(why.contains("it is not on this computer"), "{why}");

    let (mut private, heard) = server(HELLO.into(), fair).await;
    private.network = Network::Public;
    let why = why_not(&private).await;
    assert!(why.contains("its name leads to an address that is not called"), "{why}");
    assert!(heard.lock().unwrap().is_empty());
}

#[tokio::test]
async fn nobody_there_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let (host, network) = ("127.0.0.1".into(), Network::Any);
    let gone = Server { host, port, encryption: Encryption::None, network };

    let error = let_in(&gone, &password("canary")).await.unwrap_err();

    assert!(matches!(error, Fault::Other(Error::Unreachable { .. })), "{error:?}");
}

#[tokio::test]
async fn lines_are_handed_on_one_by_one() {
    let (mut near, far) = tokio::io::duplex(1024);
    near.write_all(b"220 go\r\nmore").await.unwrap();
    let peer = "127.0.0.1:1".parse().unwrap();
    let mut bounded = super::wire::Bounded::new(far, peer, 10);
    let mut read = [0; 100];

    let length = bounded.read(&mut read).await.unwrap();

    assert_eq!(&read[..length], b"220 go\r\n");
    assert_eq!(bounded.read(&mut read).await.unwrap(), 2);
    let error = bounded.read(&mut read).await.unwrap_err();
    assert!(error.get_ref().unwrap().is::<super::wire::TooMuch>());
}
