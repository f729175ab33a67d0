use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};

use xiaoo_agent::sandbox::Ended;

use crate::rig::{Rig, Who};

/// Everything that listens, and how to reach it.
struct Services {
    _tcp: TcpListener,
    _udp: UdpSocket,
    _unix: UnixListener,
    _datagram: UnixDatagram,
    _abstract: UnixListener,
    tcp: String,
    udp: String,
    unix: String,
    datagram: String,
    hidden: String,
}

impl Services {
    fn start(rig: &Rig) -> Self {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        // In the workspace, where files are free to be opened.
        let (unix, datagram) = (rig.root.join("stream"), rig.root.join("datagram"));
        let hidden = rig.root.display().to_string();
        let services = Self {
            _unix: UnixListener::bind(&unix).unwrap(),
            _datagram: UnixDatagram::bind(&datagram).unwrap(),
            _abstract: UnixListener::bind_addr(&SocketAddr::from_abstract_name(&hidden).unwrap())
                .unwrap(),
            tcp: format!("tcp {}", tcp.local_addr().unwrap()),
            udp: format!("udp {}", udp.local_addr().unwrap()),
            unix: format!("unix {}", unix.display()),
            datagram: format!("datagram {}", datagram.display()),
            hidden: format!("abstract {hidden}"),
            _tcp: tcp,
            _udp: udp,
        };
        for socket in [unix, datagram] {
            std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o777)).unwrap();
        }
        services
    }
}

#[tokio::test]
async fn without_a_grant_no_socket_leads_anywhere() {
    for who in Who::all() {
        let rig = Rig::new(who);
        let services = Services::start(&rig);
        let helper = rig.helper.display();
        let mut acts = vec![
            services.tcp.as_str(),
            &services.udp,
            &services.unix,
            &services.datagram,
            &services.hidden,
        ];
        if rustix::process::getuid().is_root() && who == Who::Me {
            acts.push("raw");
        }
        for act in acts {
            rig.is_stopped(&format!("{helper} {act}")).await;
        }
        // Between the command's own processes.
        let (ended, wrote) = rig.inside(&format!("{helper} pair")).await;
        assert_eq!(ended, Ended::Status(0), "{wrote}");
    }
}

#[tokio::test]
async fn a_grant_is_for_the_internet_alone() {
    for who in Who::all() {
        let mut rig = Rig::new(who);
        rig.policy.network = true;
        let services = Services::start(&rig);
        let helper = rig.helper.display();
        for act in [&services.tcp, &services.udp] {
            let (ended, wrote) = rig.inside(&format!("{helper} {act}")).await;
            assert_eq!(ended, Ended::Status(0), "{act}: {wrote}");
        }
        let mut acts = vec![services.unix.as_str(), &services.datagram, &services.hidden];
        if rustix::process::getuid().is_root() && who == Who::Me {
            acts.push("raw");
        }
        for act in acts {
            rig.is_stopped(&format!("{helper} {act}")).await;
        }
        // Looking up a name works as far as there is a network.
        let (ended, wrote) = rig.inside("getent hosts localhost").await;
        assert_eq!(ended, Ended::Status(0), "{wrote}");
    }
}
