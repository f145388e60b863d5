//! Keys and files, requests, certificates, and handshakes in memory with appliances, strangers and thieves.

use super::*;
use picloud_model::clock::UnixMs;
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConnection, RootCertStore, ServerConfig, ServerConnection};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

fn now() -> UnixMs {
    picloud_model::clock::Clock::now_ms(&picloud_model::clock::SystemClock)
}

struct Ca {
    certificate: CertificateDer<'static>,
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Ca {
    fn make() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let certificate = params.self_signed(&key).unwrap();
        let (der, pem) = (certificate.der().clone(), certificate.pem());
        Self { issuer: Issuer::from_ca_cert_der(&der, key).unwrap(), certificate: der, pem }
    }

    /// The digits that a token of this CA begins with.
    fn digits(&self) -> String {
        ContentHash::of(&self.certificate).to_string()[..32].to_owned()
    }

    fn sign_node(&self, key: &NodeKey, not_after: UnixMs) -> String {
        let asked = csr_key(&key.csr_pem().unwrap()).unwrap();
        let params = node_certificate(&asked.id(), now(), not_after).unwrap();
        params.signed_by(&asked.public, &self.issuer).unwrap().pem()
    }

    /// A server's configuration as an appliance would have it, for this name and time.
    fn server(&self, name: &str, not_before_days: i64, not_after_days: i64) -> ServerConfig {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let at = |days: i64| std::time::UNIX_EPOCH + std::time::Duration::from_millis((now() + days * DAY_MS) as u64);
        params.not_before = at(not_before_days).into();
        params.not_after = at(not_after_days).into();
        let leaf = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        self.serve(vec![leaf, self.certificate.clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
    }

    fn serve(&self, chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> ServerConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .allow_unauthenticated()
            .build()
            .unwrap();
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(clients)
            .with_single_cert(chain, key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config
    }
}

/// Which end refused and why, without what is another each time.
fn refusal(end: &str, error: &rustls::Error) -> String {
    let text = error.to_string();
    format!("the {end} refuses: {}", text.split(": verification time").next().unwrap_or_default())
}

/// The handshake: who the server says the client is, or which end refused and why.
fn shake(client: &ClientTls, server: ServerConfig) -> Result<Option<Peer>, String> {
    let mut client = ClientConnection::new(Arc::clone(&client.config), ClientTls::server_name()).unwrap();
    let mut server = ServerConnection::new(Arc::new(server)).unwrap();
    while client.is_handshaking() || server.is_handshaking() || client.wants_write() || server.wants_write() {
        let mut wire = Vec::new();
        client.write_tls(&mut wire).unwrap();
        let mut rest = &wire[..];
        while !rest.is_empty() {
            server.read_tls(&mut rest).unwrap();
            server.process_new_packets().map_err(|error| refusal("server", &error))?;
        }
        let mut wire = Vec::new();
        server.write_tls(&mut wire).unwrap();
        let mut rest = &wire[..];
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
            client.process_new_packets().map_err(|error| refusal("client", &error))?;
        }
    }
    assert_eq!(client.alpn_protocol(), Some(&b"h2"[..]));
    Ok(server.peer_certificates().map(|chain| peer_of(&chain[0]).unwrap()))
}

fn client(trust: Trust) -> ClientTls {
    ClientTls::new(trust, None).unwrap()
}

#[test]
fn a_key_is_made_once_and_stays_the_same_for_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys/node.key");
    assert!(NodeKey::read(&path).unwrap().is_none());
    let made = NodeKey::open(&path).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let again = NodeKey::open(&path).unwrap();
    assert_eq!((again.fingerprint(), again.id()), (made.fingerprint(), made.id()));
    assert_eq!(mode(&path), 0o600, "one that others could read is closed to them");
    assert_ne!(NodeKey::make().unwrap().id(), made.id());
}

#[test]
fn of_two_that_make_a_key_at_once_both_have_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("node.key");
    // As another would whose key is in place a moment earlier.
    let first = NodeKey::make().unwrap();
    first.write(&path).unwrap();
    let refused = NodeKey::make().unwrap().write(&path).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::AlreadyExists);
    assert_eq!(NodeKey::open(&path).unwrap().id(), first.id());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left there");
}

#[test]
fn a_file_that_is_no_key_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("node.key");
    let ed25519 = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap().serialize_pem();
    for bad in ["", "notes", &ed25519] {
        std::fs::write(&path, bad).unwrap();
        assert!(matches!(NodeKey::open(&path), Err(IdentityError::NoKey { .. })), "{bad}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), bad);
    }
    std::fs::write(&path, [0xff, 0xfe]).unwrap();
    assert!(matches!(NodeKey::open(&path), Err(IdentityError::NoKey { .. })));
}

#[test]
fn of_a_request_only_the_key_is_taken() {
    let key = NodeKey::make().unwrap();
    let asked = csr_key(&key.csr_pem().unwrap()).unwrap();
    assert_eq!((asked.fingerprint, asked.id()), (key.fingerprint(), key.id()));
    // One that asks to be a CA with the appliance's name gets a node's certificate all the same.
    let pair = KeyPair::generate().unwrap();
    let mut greedy = CertificateParams::new([SERVER_NAME.to_owned()]).unwrap();
    greedy.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let asked = csr_key(&greedy.serialize_request(&pair).unwrap().pem().unwrap()).unwrap();
    let params = node_certificate(&asked.id(), now(), now() + DAY_MS).unwrap();
    let signed = params.signed_by(&asked.public, &Ca::make().issuer).unwrap();
    assert_eq!(peer_of(signed.der()).unwrap().id, asked.id());
    assert!(ca_of_pem(&signed.pem()).is_err(), "it may not sign others");
}

#[test]
fn a_request_that_proves_nothing_is_refused() {
    let mut damaged =
        rcgen::CertificateParams::default().serialize_request(&KeyPair::generate().unwrap()).unwrap().der().to_vec();
    let other = csr_of(&rcgen::PKCS_ED25519);
    let large = csr_of(&rcgen::PKCS_ECDSA_P384_SHA384);
    *damaged.last_mut().unwrap() ^= 1;
    let damaged = pem_of(&damaged);
    let cut = pem_of(&[0x30, 0x82, 0xff]);
    let long = "x".repeat(20_000);
    let refusals: Vec<String> = ["", "notes", &damaged, &other, &large, &cut, &long]
        .iter()
        .map(|bad| csr_key(bad).map(|asked| asked.id()).unwrap_err().to_string())
        .collect();
    insta::assert_snapshot!(refusals.join("\n"), @"
    this is no certificate request of a node: it is not in PEM (-----BEGIN CERTIFICATE REQUEST-----)
    this is no certificate request of a node: it is not in PEM (-----BEGIN CERTIFICATE REQUEST-----)
    this is no certificate request of a node: it is not signed with the key it names
    this is no certificate request of a node: its key is not of the kind ECDSA P-256
    this is no certificate request of a node: its key is not of the kind ECDSA P-256
    this is no certificate request of a node: it cannot be read
    this is no certificate request of a node: it has 20000 bytes, more than 16384
    ");
}

fn csr_of(algorithm: &'static rcgen::SignatureAlgorithm) -> String {
    let key = KeyPair::generate_for(algorithm).unwrap();
    CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap()
}

fn pem_of(der: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in der.chunks(3) {
        let bits = (0..3).fold(0, |bits, at| bits << 8 | u32::from(*three.get(at).unwrap_or(&0)));
        for digit in 0..4 {
            let index = (bits >> (18 - 6 * digit)) as usize & 63;
            text.push(if digit <= three.len() { char::from(DIGITS[index]) } else { '=' });
        }
    }
    format!("-----BEGIN CERTIFICATE REQUEST-----\n{text}\n-----END CERTIFICATE REQUEST-----\n")
}

#[test]
fn a_certificate_whose_name_is_anothers_is_nobodys() {
    let (key, thief) = (NodeKey::make().unwrap(), NodeKey::make().unwrap());
    let asked = csr_key(&thief.csr_pem().unwrap()).unwrap();
    let ca = Ca::make();
    let signed = |params: CertificateParams| params.signed_by(&asked.public, &ca.issuer).unwrap().der().clone();
    let stolen = signed(node_certificate(&key.id(), now(), now() + DAY_MS).unwrap());
    let server = signed(CertificateParams::new([SERVER_NAME.to_owned()]).unwrap());
    let mut two = node_certificate(&thief.id(), now(), now() + DAY_MS).unwrap();
    two.subject_alt_names.extend(node_certificate(&key.id(), now(), now() + DAY_MS).unwrap().subject_alt_names);
    let two = signed(two);
    let refusals: Vec<String> = [&stolen, &server, &two, &CertificateDer::from(vec![1, 2, 3])]
        .iter()
        .map(|bad| peer_of(bad).unwrap_err().to_string())
        .collect();
    insta::assert_snapshot!(refusals.join("\n"), @"
    this is no certificate of a node: its name is another key's
    this is no certificate of a node: it has not the one name picloud://node/ID
    this is no certificate of a node: it has not the one name picloud://node/ID
    this is no certificate of a node: it cannot be read
    ");
}

#[test]
fn a_node_is_let_in_with_the_certificate_it_was_given_and_trusts_its_ca_alone() {
    let (ca, rogue, key) = (Ca::make(), Ca::make(), NodeKey::make().unwrap());
    let until = now() + 90 * DAY_MS;
    let pem = ca.sign_node(&key, until);
    let pinned = || Trust::Pinned(ca_of_pem(&ca.pem).unwrap());
    let joined = ClientTls::new(pinned(), Some((&pem, &key))).unwrap();
    let peer = shake(&joined, ca.server(SERVER_NAME, -2, 90)).unwrap().unwrap();
    assert_eq!((peer.id, peer.fingerprint, peer.not_after / 1000), (key.id(), key.fingerprint(), until / 1000));
    assert_eq!(shake(&client(pinned()), ca.server(SERVER_NAME, -2, 90)).unwrap(), None, "a stranger shows nothing");
    // Somebody else who says to be the appliance, with a chain of his own or with ours behind it.
    let refused = |server| shake(&joined, server).unwrap_err();
    let mut refusals = vec![refused(rogue.server(SERVER_NAME, -2, 90))];
    assert_eq!(joined.seen().unwrap().fingerprint, ContentHash::of(&rogue.certificate), "who it was is told");
    let pair = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new([SERVER_NAME.to_owned()]).unwrap().signed_by(&pair, &rogue.issuer).unwrap();
    let borrowed = vec![leaf.der().clone(), ca.certificate.clone()];
    refusals.push(refused(rogue.serve(borrowed, PrivateKeyDer::Pkcs8(pair.serialize_der().into()))));
    // The same CA's certificate of something else, and one that is over.
    refusals.push(refused(ca.server("localhost", -2, 90)));
    refusals.push(refused(ca.server(SERVER_NAME, -91, -1)));
    insta::assert_snapshot!(refusals.join("\n"), @r#"
    the client refuses: invalid peer certificate: BadSignature
    the client refuses: invalid peer certificate: BadSignature
    the client refuses: invalid peer certificate: certificate not valid for name "picloud-node"; certificate is only valid for DnsName("localhost")
    the client refuses: invalid peer certificate: certificate expired
    "#);
}

#[test]
fn a_node_whose_clock_is_behind_still_finds_its_appliance() {
    let ca = Ca::make();
    let trust = Trust::Pinned(ca_of_pem(&ca.pem).unwrap());
    assert_eq!(shake(&client(trust), ca.server(SERVER_NAME, 300, 390)), Ok(None));
}

#[test]
fn a_stolen_node_certificate_cannot_stand_in_for_the_appliance() {
    let (ca, key) = (Ca::make(), NodeKey::make().unwrap());
    let pem = ca.sign_node(&key, now() + 90 * DAY_MS);
    let leaf = <CertificateDer<'_> as rustls::pki_types::pem::PemObject>::from_pem_slice(pem.as_bytes()).unwrap();
    let thief = ca.serve(vec![leaf, ca.certificate.clone()], key.private_der());
    let refusal = shake(&client(Trust::Pinned(ca.certificate.clone())), thief).unwrap_err();
    let expected =
        "certificate not valid for name \"picloud-node\"; certificate is only valid for UniformResourceIdentifier";
    assert!(refusal.contains(expected), "{refusal}");
}

#[test]
fn the_certificate_of_another_ca_is_refused_by_the_appliance() {
    let (ca, other, key) = (Ca::make(), Ca::make(), NodeKey::make().unwrap());
    let pem = other.sign_node(&key, now() + DAY_MS);
    let over = ca.sign_node(&key, now() - DAY_MS);
    let trust = || Trust::Pinned(ca.certificate.clone());
    let refusals: Vec<String> = [pem, over]
        .iter()
        .map(|pem| {
            let stranger = ClientTls::new(trust(), Some((pem, &key))).unwrap();
            shake(&stranger, ca.server(SERVER_NAME, -2, 90)).unwrap_err()
        })
        .collect();
    insta::assert_snapshot!(refusals.join("\n"), @"
    the server refuses: invalid peer certificate: BadSignature
    the server refuses: invalid peer certificate: certificate expired
    ");
}

#[test]
fn a_token_means_one_ca_and_a_first_look_tells_whose_it_was() {
    let (ca, rogue) = (Ca::make(), Ca::make());
    let by_token = client(Trust::ByToken(ca.digits()));
    assert_eq!(shake(&by_token, ca.server(SERVER_NAME, -2, 90)), Ok(None));
    assert!(shake(&by_token, rogue.server(SERVER_NAME, -2, 90)).is_err());
    assert!(shake(&client(Trust::ByToken(String::new())), ca.server(SERVER_NAME, -2, 90)).is_err());
    // The right CA behind a leaf that it has not signed.
    let key = NodeKey::make().unwrap();
    let leaf = node_certificate(&key.id(), now(), now() + DAY_MS).unwrap();
    let pair = KeyPair::generate().unwrap();
    let leaf = leaf.self_signed(&pair).unwrap().der().clone();
    let pretender = rogue.serve(vec![leaf, ca.certificate.clone()], PrivateKeyDer::Pkcs8(pair.serialize_der().into()));
    assert!(shake(&by_token, pretender).is_err());

    let first = client(Trust::FirstSeen);
    assert_eq!(first.seen(), None);
    assert_eq!(shake(&first, rogue.server(SERVER_NAME, -2, 90)), Ok(None));
    assert_eq!(first.seen().unwrap().fingerprint, ContentHash::of(&rogue.certificate));
}

#[test]
fn people_compare_the_first_groups_and_may_write_them_as_they_like() {
    let fingerprint = ContentHash::of(b"hello");
    let groups = fingerprint_groups(&fingerprint);
    assert_eq!(groups, "2cf2 4dba 5fb0 a30e 26e8 3b2a c5b9 e29e");
    assert_eq!(whole_fingerprint_groups(&fingerprint).split(' ').count(), 16);
    for (said, fits) in [
        (groups.as_str(), true),
        (&groups.to_uppercase().replace(' ', ":"), true),
        (&fingerprint.to_string(), true),
        (&groups[..30], false),
        ("", false),
        (&format!("{groups} 0000"), false),
    ] {
        assert_eq!(is_fingerprint(&fingerprint, said), fits, "{said}");
    }
}
