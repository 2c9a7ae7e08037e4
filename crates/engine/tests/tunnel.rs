//! Tunnels with the real programs, on loopback: bore with a server of its own, and OpenSSH with an
//! sshd of its own. Both must be on the machine; `cargo xtask test` sees to that.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "tunnel/others.rs"]
mod others;
#[path = "tunnel/patchbay.rs"]
mod patchbay;

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use domain::tunnel::TunnelState;
use engine::tunnel::{Environment, Error};

use crate::others::{BoreServer, Sshd, gone, processes};
use crate::patchbay::{Patchbay, environment, free_port, get, post, request};

/// Says to this test binary that it is a Patchbay to be killed: where its data is, and which bore
/// server it uses. See `a_patchbay_to_kill`.
const TO_KILL: &str = "PATCHBAY_TEST_TUNNEL_TO_KILL";

#[tokio::test]
async fn bore_is_found_proved_used_and_ended() {
    let server = BoreServer::start(None);
    let patchbay = Patchbay::start().await;
    let id = patchbay.create(request("bore", &[("host", &server.host)])).await.tunnel.id;
    assert_eq!(patchbay.engine.public_address(), None);

    patchbay.engine.start_tunnel(id).await.unwrap();
    let status = patchbay.reachable(id).await;

    let TunnelState::Reachable { public_url, .. } = &status.state else { unreachable!() };
    assert!(public_url.starts_with(&format!("http://{}:", server.host)), "{public_url}");
    assert_eq!(patchbay.engine.public_address().as_ref(), Some(public_url));
    assert!(status.kind.plain_http);
    assert!(!processes(&["local", &server.host]).is_empty());
    assert_eq!(post(&format!("{public_url}/in/greeting"), "hello").await, (200, "hello".into()));
    assert_eq!(get(&format!("{public_url}/in/none")).await, (404, String::new()));

    let ended = patchbay.engine.stop_tunnel(id).await.unwrap();

    assert_eq!(ended.state, TunnelState::Off);
    assert!(gone(&["local", &server.host]), "bore is still there");
    assert_eq!(patchbay.engine.public_address(), None);
    let listener = status.ingress.unwrap();
    assert!(std::net::TcpStream::connect(listener).is_err(), "its listener is still there");
}

#[tokio::test]
async fn bores_secret_is_asked_for_used_and_never_shown() {
    let server = BoreServer::start(Some("correct-horse"));
    let patchbay = Patchbay::start().await;
    let settings = [("host", server.host.as_str())];

    let without = patchbay.create(request("bore", &settings)).await.tunnel.id;
    patchbay.engine.start_tunnel(without).await.unwrap();
    let (_, hint) = patchbay.failed(without).await;
    assert_eq!(hint.as_deref(), Some("Fill in the secret that the server asks for."));

    let mut with = request("bore", &settings);
    with.secrets.set("secret", domain::secret::Secret::new("correct-horse".into()));
    let with = patchbay.create(with).await.tunnel.id;
    patchbay.engine.start_tunnel(with).await.unwrap();
    let status = patchbay.reachable(with).await;

    assert!(!processes(&["local", &server.host]).is_empty());
    assert_eq!(processes(&["local", "correct-horse"]), Vec::<String>::new());
    assert!(!format!("{status:?}").contains("correct-horse"));
}

#[tokio::test]
async fn a_server_that_is_not_there_or_goes_away_is_told() {
    let patchbay = Patchbay::start().await;
    let mut server = BoreServer::start(None);
    let id = patchbay.create(request("bore", &[("host", &server.host)])).await.tunnel.id;
    patchbay.engine.start_tunnel(id).await.unwrap();
    patchbay.reachable(id).await;

    server.kill();

    let (why, _) = patchbay.failed(id).await;
    assert!(why.starts_with("bore ended"), "{why}");
    assert!(gone(&["local", &server.host]));
    assert_eq!(patchbay.engine.public_address(), None);

    patchbay.engine.start_tunnel(id).await.unwrap();
    let (why, hint) = patchbay.failed(id).await;
    assert!(why.contains("could not connect"), "{why}");
    assert!(hint.unwrap().contains("7835"));
}

#[tokio::test]
async fn ssh_is_proved_used_and_ended() {
    let sshd = Sshd::start();
    let patchbay = Patchbay::start().await;
    let remote_port = free_port().to_string();
    let settings = sshd.settings(&remote_port);
    let id = patchbay.create(request("ssh", &borrowed(&settings))).await.tunnel.id;

    patchbay.engine.start_tunnel(id).await.unwrap();
    let status = patchbay.reachable(id).await;

    let TunnelState::Reachable { public_url, .. } = &status.state else { unreachable!() };
    assert_eq!(*public_url, format!("http://127.0.0.1:{remote_port}"));
    assert_eq!(post(&format!("{public_url}/in/greeting"), "hi").await, (200, "hi".into()));
    assert!(!processes(&["ExitOnForwardFailure=yes", &sshd.port]).is_empty());

    patchbay.engine.stop_tunnel(id).await.unwrap();

    assert!(gone(&["ExitOnForwardFailure=yes", &sshd.port]), "ssh is still there");
}

#[tokio::test]
async fn what_ssh_is_refused_for_is_told_with_what_to_do() {
    let sshd = Sshd::start();
    let patchbay = Patchbay::start().await;
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken_port = taken.local_addr().unwrap().port().to_string();
    let mut strange_host = sshd.settings("8701");
    strange_host.insert("known_hosts".into(), "/dev/null".into());
    let mut strange_key = sshd.settings("8701");
    strange_key.insert("identity_file".into(), sshd.other_key());

    for (settings, said, hinted) in [
        (
            sshd.settings(&taken_port),
            "remote port forwarding failed",
            "Choose another remote port.",
        ),
        (strange_host, "Host key verification failed", "Connect once with ssh in a terminal"),
        (strange_key, "Permission denied", "The server takes none of your keys."),
    ] {
        let id = patchbay.create(request("ssh", &borrowed(&settings))).await.tunnel.id;
        patchbay.engine.start_tunnel(id).await.unwrap();
        let (why, hint) = patchbay.failed(id).await;

        assert!(why.starts_with("ssh ended with status 255: ") && why.contains(said), "{why}");
        assert!(hint.as_ref().is_some_and(|hint| hint.contains(hinted)), "{said}: {hint:?}");
    }
}

#[tokio::test]
async fn an_own_address_keeps_its_port_and_comes_back_with_patchbay() {
    let mut patchbay = Patchbay::start().await;
    let port = free_port().to_string();
    let public_url = format!("http://127.0.0.1:{port}/");
    let settings = [("public_url", public_url.as_str()), ("port", &port)];
    let id = patchbay.create(request("own-url", &settings)).await.tunnel.id;
    patchbay.engine.start_tunnel(id).await.unwrap();
    let before = patchbay.reachable(id).await;

    patchbay = patchbay.restart().await;
    let after = patchbay.reachable(id).await;

    assert_eq!(after.ingress.unwrap().port().to_string(), port);
    assert_eq!(after.ingress, before.ingress);
    assert!(after.tunnel.tunnel.on);
}

#[tokio::test]
async fn an_own_address_gets_a_port_once_where_none_is_named() {
    let patchbay = Patchbay::start().await;
    let elsewhere = format!("http://127.0.0.1:{}", free_port());
    let tunnel = patchbay.create(request("own-url", &[("public_url", &elsewhere)])).await.tunnel;
    let port = &tunnel.tunnel.settings["port"];

    for _ in 0..2 {
        patchbay.engine.start_tunnel(tunnel.id).await.unwrap();
        // Nobody leads there, and so it is not shown as if somebody did.
        let status = patchbay
            .wait(tunnel.id, |state| matches!(state, TunnelState::Unproved { why: Some(_), .. }))
            .await;
        assert_eq!(status.ingress.unwrap().port().to_string(), *port);
        patchbay.engine.stop_tunnel(tunnel.id).await.unwrap();
    }
}

#[tokio::test]
async fn an_address_that_leads_to_another_tunnel_is_not_proved() {
    let patchbay = Patchbay::start().await;
    let (port, other) = (free_port().to_string(), free_port().to_string());
    let public_url = format!("http://127.0.0.1:{port}");
    let right = request("own-url", &[("public_url", &public_url), ("port", &port)]);
    let wrong = request("own-url", &[("public_url", &public_url), ("port", &other)]);
    let (right, wrong) = (patchbay.create(right).await, patchbay.create(wrong).await);
    patchbay.engine.start_tunnel(right.tunnel.id).await.unwrap();
    patchbay.reachable(right.tunnel.id).await;

    patchbay.engine.start_tunnel(wrong.tunnel.id).await.unwrap();
    patchbay.wait(wrong.tunnel.id, |state| matches!(state, TunnelState::Unproved { .. })).await;
    let probed = patchbay.engine.probe_tunnel(wrong.tunnel.id).await.unwrap();

    let TunnelState::Unproved { proved_at: None, why: Some(why), .. } = probed.state else {
        panic!("{:?}", probed.state);
    };
    assert_eq!(why, "Something else answered at this address, with status 404.");
}

#[tokio::test]
async fn a_port_that_is_taken_and_a_program_that_is_missing_are_told() {
    let empty = Environment::new([("PATH".into(), "/nonexistent".into())]);
    let patchbay = Patchbay::start_with(empty).await;
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();

    let own = request("own-url", &[("public_url", "https://a.example"), ("port", &port)]);
    let own = patchbay.create(own).await.tunnel.id;
    patchbay.engine.start_tunnel(own).await.unwrap();
    assert_eq!(patchbay.failed(own).await.0, format!("Port {port} is taken by another program."));

    let bore = patchbay.create(request("bore", &[])).await;
    assert!(!bore.kind.installed && bore.kind.install_hint.is_some());
    patchbay.engine.start_tunnel(bore.tunnel.id).await.unwrap();
    let (why, hint) = patchbay.failed(bore.tunnel.id).await;
    assert_eq!(why, "The program `bore` is not on this machine.");
    assert_eq!(hint, bore.kind.install_hint);
}

#[tokio::test]
async fn what_does_not_fit_a_definition_is_not_made() {
    let patchbay = Patchbay::start().await;
    let refused = async |kind: &str, settings: &[(&str, &str)]| {
        patchbay.engine.create_tunnel(request(kind, settings)).await.unwrap_err().to_string()
    };

    assert_eq!(
        refused("sh", &[]).await,
        "`sh` is not a way to be reached; there are own-url, cloudflared-quick, ssh, bore"
    );
    assert_eq!(refused("own-url", &[]).await, "`public_url` is missing");
    assert_eq!(
        refused("bore", &[("program", "/bin/sh")]).await,
        "`program` is not one of its settings"
    );
    assert_eq!(
        refused("ssh", &[("host", "-oProxyCommand=id"), ("remote_port", "1")]).await,
        "`host` begins with a dash"
    );
    assert_eq!(
        refused("ssh", &[("host", "a"), ("remote_port", "1:a:2")]).await,
        "`remote_port` is not a port from 1 to 65535"
    );
    assert!(patchbay.engine.tunnels().await.unwrap().is_empty());
}

#[tokio::test]
async fn deleting_a_tunnel_ends_it() {
    let server = BoreServer::start(None);
    let patchbay = Patchbay::start().await;
    let id = patchbay.create(request("bore", &[("host", &server.host)])).await.tunnel.id;
    patchbay.engine.start_tunnel(id).await.unwrap();
    patchbay.reachable(id).await;

    patchbay.engine.delete_tunnel(id).await.unwrap();

    assert!(gone(&["local", &server.host]));
    let missing = patchbay.engine.tunnel(id).await;
    assert!(matches!(missing, Err(Error::Store(engine::store::Error::NotFound))), "{missing:?}");
}

#[tokio::test]
async fn stopping_patchbay_ends_its_tunnels() {
    let server = BoreServer::start(None);
    let patchbay = Patchbay::start().await;
    let id = patchbay.create(request("bore", &[("host", &server.host)])).await.tunnel.id;
    patchbay.engine.start_tunnel(id).await.unwrap();
    patchbay.reachable(id).await;

    patchbay.engine.stop().await;

    assert!(gone(&["local", &server.host]));
}

#[test]
fn killing_patchbay_ends_its_tunnels() {
    let server = BoreServer::start(None);
    let folder = tempfile::tempdir().unwrap();
    let mut patchbay = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_patchbay_to_kill", "--nocapture"])
        .env(TO_KILL, format!("{} {}", server.host, folder.path().display()))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(patchbay.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().ends_with("reachable")), "it did not come up");
    assert!(!processes(&["local", &server.host]).is_empty());

    patchbay.kill().unwrap();
    patchbay.wait().unwrap();

    assert!(gone(&["local", &server.host]), "bore is still there");
}

/// Not a test of its own: the process that the one above kills.
#[tokio::test]
async fn a_patchbay_to_kill() {
    let Ok(parameters) = std::env::var(TO_KILL) else { return };
    let (host, folder) = parameters.split_once(' ').unwrap();
    let patchbay = Patchbay::start_in(folder.as_ref(), environment()).await;
    let id = patchbay.create(request("bore", &[("host", host)])).await.tunnel.id;
    patchbay.engine.start_tunnel(id).await.unwrap();
    patchbay.reachable(id).await;
    println!("reachable");
    patchbay.wait(id, |state| *state == TunnelState::Off).await;
}

fn borrowed(settings: &std::collections::BTreeMap<String, String>) -> Vec<(&str, &str)> {
    settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}
