//! A PostgreSQL server of the test process's own, which ends with it.

use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use super::tools;

/// The URL of a new, empty database; `None`, loudly, where PostgreSQL is missing.
pub async fn fresh_database() -> Option<String> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let port = server()?;
    let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
    let mut connection =
        PgConnection::connect(&url(port, "postgres")).await.expect("the server answers");
    connection
        .execute(AssertSqlSafe(format!("CREATE DATABASE {name}")))
        .await
        .expect("a new database");
    Some(url(port, &name))
}

/// A user who is no superuser but may make schemas in a database.
pub struct User {
    /// The user's name.
    pub name: String,
    /// The database's URL for the user.
    pub url: String,
}

/// Makes a user with these attributes for a fresh database.
pub async fn user(admins: &str, attributes: &str) -> User {
    let database = admins.rsplit('/').next().and_then(|name| name.split('?').next());
    let database = database.expect("a database's name");
    let name = format!("user_of_{database}");
    let mut connection = PgConnection::connect(admins).await.expect("the server answers");
    let statements = format!(
        "CREATE ROLE {name} {attributes} PASSWORD 'secret'; GRANT CREATE ON DATABASE {database} TO {name}"
    );
    connection.execute(AssertSqlSafe(statements)).await.expect("a new user");
    let url = admins.replace("wharf@", &format!("{name}:secret@"));
    User { name, url }
}

fn url(port: u16, database: &str) -> String {
    format!("postgres://wharf@127.0.0.1:{port}/{database}?sslmode=disable")
}

/// The port of the server that tests share, once it answers.
fn server() -> Option<u16> {
    static SERVER: OnceLock<Option<u16>> = OnceLock::new();
    *SERVER.get_or_init(|| {
        let mut server = Server::new()?;
        let port = server.port;
        let (started, ready) = std::sync::mpsc::channel();
        // The server is told to stop when the thread that started it ends: this one ends with the process.
        std::thread::spawn(move || {
            server.start();
            started.send(()).expect("somebody waits");
            server.wait();
        });
        ready.recv().expect("postgres starts");
        Some(port)
    })
}

/// A server that a test may stop and start. It ends with the thread that started it.
pub struct Server {
    programs: PathBuf,
    folder: PathBuf,
    port: u16,
    running: Option<Child>,
}

impl Server {
    /// A new server, not started yet; `None`, loudly, where PostgreSQL is missing.
    pub fn new() -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let Some(programs) = programs() else {
            tools::skip("PostgreSQL (initdb)");
            return None;
        };
        let folder = folder().join(COUNT.fetch_add(1, Ordering::Relaxed).to_string());
        std::fs::create_dir(&folder).expect("a folder for the server");
        let made = unprivileged(&folder, &programs.join("initdb"))
            .args(["--username=wharf", "--auth=trust", "--encoding=UTF8", "--locale=C"])
            .args(["--no-sync", "-D"])
            .arg(folder.join("data"))
            .stdout(Stdio::null())
            .output()
            .expect("initdb runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        // The host's user is trusted; the groups' roles need the passwords that the host gave them.
        let callers =
            "host all wharf 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n";
        std::fs::write(folder.join("data/pg_hba.conf"), callers)
            .expect("who may sign in is written");
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = free.local_addr().expect("an address").port();
        Some(Server { programs, folder, port, running: None })
    }

    /// Starts it and waits until it takes connections.
    pub fn start(&mut self) {
        let data = self.folder.join("data");
        let mut postgres = unprivileged(&self.folder, &self.programs.join("postgres"));
        postgres.arg("-D").arg(&data);
        for setting in ["listen_addresses=127.0.0.1", "fsync=off", "max_connections=200"] {
            postgres.arg("-c").arg(setting);
        }
        postgres.arg("-c").arg(format!("port={}", self.port));
        postgres.arg("-c").arg(format!("unix_socket_directories={}", self.folder.display()));
        postgres.stdout(Stdio::null()).stderr(Stdio::null());
        self.running = Some(postgres.spawn().expect("postgres starts"));
        let deadline = Instant::now() + Duration::from_mins(1);
        while !is_ready(&data) {
            assert!(Instant::now() < deadline, "postgres answers within a minute");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Stops it as `pg_ctl stop -m fast` does: clients are thrown out.
    pub fn stop(&mut self) {
        let running = self.running.as_ref().expect("it runs");
        let sent = Command::new("kill").arg("-INT").arg(running.id().to_string()).status();
        assert!(sent.expect("kill runs").success());
        self.wait();
    }

    /// The URL of the database that every server has.
    pub fn url(&self) -> String {
        url(self.port, "postgres")
    }

    fn wait(&mut self) {
        let _ = self.running.take().expect("it runs").wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.running.is_some() {
            self.stop();
        }
    }
}

/// The folder of `initdb` and `postgres`: Debian keeps them off the path.
fn programs() -> Option<PathBuf> {
    let on_path = std::env::var_os("PATH")
        .into_iter()
        .flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
    let debian = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("bin"));
    debian
        .chain(on_path)
        .find(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file())
}

/// Whether the server takes connections. It listens before that, and refuses whoever comes too soon;
/// the last line of its lock file says when it is ready, which is where `pg_ctl` looks as well.
fn is_ready(data: &Path) -> bool {
    std::fs::read_to_string(data.join("postmaster.pid"))
        .is_ok_and(|state| state.trim_end().ends_with("ready"))
}

/// A folder for this process's servers. Those of processes that have ended are removed.
fn folder() -> &'static Path {
    const PREFIX: &str = "wharf-tests-postgres-";
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let temporary = std::env::temp_dir();
        for entry in std::fs::read_dir(&temporary).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if let Some(process) = name.strip_prefix(PREFIX)
                && !Path::new("/proc").join(process).exists()
            {
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
        let folder = temporary.join(format!("{PREFIX}{}", std::process::id()));
        std::fs::create_dir(&folder).expect("a folder for the servers");
        folder
    })
}

/// A command that ends with the thread that starts it and is not run as root, which `initdb` refuses.
fn unprivileged(folder: &Path, program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.current_dir(folder).args(["--pdeathsig", "INT"]);
    if id("-u", None) == 0 {
        let (user, group) = (id("-u", Some("nobody")), id("-g", Some("nobody")));
        chown(folder, Some(user), Some(group)).expect("root may give a folder away");
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))
            .expect("root may set permissions");
        command
            .arg(format!("--reuid={user}"))
            .arg(format!("--regid={group}"))
            .arg("--clear-groups");
    }
    command.arg(program);
    command
}

fn id(which: &str, user: Option<&str>) -> u32 {
    let output = Command::new("id").arg(which).args(user).output().expect("id runs");
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("a number")
}
