//! Users moved in and out with the real program, next to a host that serves them.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Output;

use wharf::database::Value;

use crate::support::{TestHost, on_both_databases};

const MD5: &str = "c3a0f37c62ae8afbd4d0e72d0ab5ae86";

/// What `wharf import users` did with a file.
struct Import {
    code: Option<i32>,
    summary: String,
    error: String,
    report: String,
}

fn import(host: &TestHost, realm: &str, file: impl AsRef<[u8]>, more: &[&str]) -> Import {
    let (path, report) = (host.folder().join("users.csv"), host.folder().join("refused.csv"));
    std::fs::write(&path, file).expect("a file");
    let mut command = host.wharf(&["import", "users", "--realm", realm]);
    command.args(more).arg("--report").arg(&report).arg(&path);
    let Output { status, stdout, stderr } = command.output().expect("wharf runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    let import = Import {
        code: status.code(),
        summary: text(stdout),
        error: text(stderr),
        report: std::fs::read_to_string(&report).unwrap_or_default(),
    };
    assert!(!import.error.contains("panicked"), "{}", import.error);
    assert!(!(import.error.clone() + &import.report).contains(MD5), "a hash was told");
    import
}

impl Import {
    #[track_caller]
    fn assert(&self, code: i32, summary: &str) {
        assert_eq!((self.code, self.summary.trim()), (Some(code), summary), "{}", self.error);
    }

    /// That nothing was imported, for a reason in one sentence that holds these words.
    #[track_caller]
    fn assert_stopped(&self, words: &[&str]) {
        assert_eq!((self.code, self.summary.as_str()), (Some(1), ""), "{}", self.error);
        assert!(
            self.error.starts_with("error: ") && self.error.trim_end().lines().count() == 1,
            "{}",
            self.error
        );
        for word in words {
            assert!(self.error.contains(word), "{word:?} in: {}", self.error);
        }
    }
}

/// Exports a realm into a new file and returns the file.
fn export(host: &TestHost, realm: &str, name: &str) -> PathBuf {
    let file = host.folder().join(name);
    let output = host.wharf(&["export", "users", "--realm", realm]).arg(&file).output();
    let output = output.expect("wharf runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    file
}

async fn rows(host: &TestHost, sql: &str) -> Vec<Vec<Value>> {
    host.sql(sql, Vec::new()).await.rows
}

async fn count(host: &TestHost, realm: &str) -> i64 {
    let sql = "SELECT COUNT(*) FROM users WHERE realm = $1 AND username <> 'admin'";
    let counted = host.sql(sql, vec![Value::Text(realm.into())]).await;
    let [Value::Integer(count)] = counted.rows[0][..] else { panic!("no count") };
    count
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

use Value::{Integer, Null};

#[rustfmt::skip] // It would not look into the macro anyway.
on_both_databases! {
    async fn users_of_the_store_sign_in_with_their_old_passwords(host: TestHost) {
        let bcrypt = bcrypt::hash("secret-1", 4).expect("a hash").replacen("$2b$", "$2y$", 1);
        let md5 = { use md5::Digest as _; hex::encode(md5::Md5::digest("secret-1")) };
        let file = format!(
            "id,PASSWORD,Name,username,email,phone,remember_token,created_at,status\n\
             7,{bcrypt},Ann,annann,ann@example.com,,x,2019-05-01 12:00:00,\n\
             8,{md5},\"Bob\nthe second\",bobbob,,123,,1556683200,1\n");
        import(&host, "store", file, &[]).assert(0, "2 added, 0 there already, 0 refused");
        for user in ["annann", "bobbob"] {
            let token = host.sign_in(user, "secret-1").await;
            assert_eq!(host.me(&token).await.data()["username"], user);
            assert_eq!(host.login(user, "wrong-password").await.code(), 10003);
        }
        let stored = rows(&host, "SELECT name, email, phone, status, created_at, substr(password, 1, 9) FROM users WHERE username IN ('annann', 'bobbob') ORDER BY id").await;
        let upgraded = text("$argon2id");
        assert_eq!(stored[0], [text("Ann"), text("ann@example.com"), Null, Integer(1), Integer(1_556_683_200), upgraded.clone()]);
        assert_eq!(stored[1], [text("Bob\nthe second"), Null, text("123"), Integer(1), Integer(1_556_683_200), upgraded]);
        let profiles = rows(&host, "SELECT users.username, user_profiles.sex FROM user_profiles JOIN users ON users.id = user_id ORDER BY user_id").await;
        assert_eq!(profiles, [[text("annann"), Integer(1)], [text("bobbob"), Integer(1)]]);
    }

    async fn what_stands_for_nothing_is_nothing_and_spaces_are_cut(host: TestHost) {
        let file = format!(
            "name,username,email,phone,email_verified_at,password\n One , firstone ,NULL,\\N,0000-00-00 00:00:00,{MD5}\nTwo,secondone,NULL,\\N,NULL,{MD5}\n"
        );
        import(&host, "store", file, &[]).assert(0, "2 added, 0 there already, 0 refused");
        let users = host.sql("SELECT name, username, email, phone, email_verified_at FROM users WHERE username = 'firstone'", Vec::new()).await;
        let text = |text: &str| Value::Text(text.into());
        assert_eq!(users.rows, [[text("One"), text("firstone"), Value::Null, Value::Null, Value::Null]]);
    }

    async fn running_it_twice_adds_nothing(host: TestHost) {
        let users = (0..2_500).map(|user| format!("A Name,user{user},{user}@example.com,,{MD5}\n"));
        let file = format!("name,username,email,phone,password\n{}", users.collect::<String>());
        import(&host, "store", &file, &["--batch", "1000"]).assert(0, "2500 added, 0 there already, 0 refused");
        import(&host, "store", &file, &[]).assert(0, "0 added, 2500 there already, 0 refused");
        // What users changed since is theirs.
        rows(&host, "UPDATE users SET name = 'Another' WHERE username = 'user7' RETURNING id").await;
        import(&host, "store", format!("{file}New,newcomer,,,{MD5}\n"), &[]).assert(0, "1 added, 2500 there already, 0 refused");
        assert_eq!(rows(&host, "SELECT name FROM users WHERE username = 'user7'").await, [[text("Another")]]);
        assert_eq!(rows(&host, "SELECT COUNT(*) FROM user_profiles").await, [[Integer(2_501)]]);
    }

    async fn refused_lines_are_told_and_the_others_are_in(host: TestHost) {
        host.register("alreadythere").await;
        let long = "x".repeat(256);
        let mut file = format!("name,username,email,phone,status,created_at,password\r\n\
            Fine,first,first@example.com,1,1,,{MD5}\r\n\
            ,second,,,,,{MD5}\r\n\
            \r\n\
            \"On\ntwo lines\",third,,,,,\r\n\
            Plain,fourth,,,,,secret-1\r\n\
            {long},fifth,,,,,{MD5}\r\n\
            Status,sixth,,,7,,{MD5}\r\n\
            Date,seventh,,,,yesterday,{MD5}\r\n\
            Few,eighth,{MD5}\r\n\
            Nul,ni\0nth,,,,,{MD5}\r\n\
            Same,first,other@example.com,,,,{MD5}\r\n\
            Mail,tenth,first@example.com,,,,{MD5}\r\n\
            Phone,eleventh,,1,,,{MD5}\r\n\
            There,alreadythere,else@example.com,,,,{MD5}\r\n\
            Admin,admins,admin@admin.com,,,,{MD5}\r\n").into_bytes();
        file.extend(b"Latin,\xe9lodie,,,,,");
        file.extend(format!("{MD5}\r\nCost,costly,,,,,$2y$15${}\r\nFine,last,,,,,{MD5}", "a".repeat(53)).bytes());
        let done = import(&host, "store", file, &[]);
        done.assert(1, "2 added, 0 there already, 15 refused");
        let hash = "\"password is no hash that the host knows: argon2, bcrypt with a cost of at most 14, or md5\"";
        let expected = [
            "line,reason", "3,name is missing", "5,password is missing", &format!("7,{hash}"),
            "8,name is longer than 255 characters", "9,status is no number from -1 to 1",
            "10,\"created_at is no date: unix seconds, or YYYY-MM-DD HH:MM:SS, up to the year 9999\"",
            "11,\"the line has 3 fields, the header 7\"", "12,username holds a NUL character",
            "13,username is taken by an earlier line of the file", "14,email is taken by an earlier line of the file",
            "15,phone is taken by an earlier line of the file", "16,username is taken by a user who is there already",
            "17,email is taken by a user who is there already", "18,username is not UTF-8", &format!("19,{hash}"),
        ];
        assert_eq!(done.report.lines().collect::<Vec<_>>(), expected);
        assert!(done.error.contains("line 3: name is missing\n"), "{}", done.error);
        let last = done.error.lines().last().unwrap_or_default();
        assert!(last.starts_with("error: 15 lines were refused; ") && last.contains("refused.csv"), "{last}");
        assert_eq!(count(&host, "store").await, 3);
    }

    async fn a_batch_that_fails_rolls_back_whole(host: TestHost) {
        let file = format!("name,username,password\nA,first,{MD5}\nB,second,{MD5}\nC,third,{MD5}\n");
        host.change_schema("ALTER TABLE user_profiles RENAME TO gone").await;
        import(&host, "store", &file, &[]).assert_stopped(&["the import stopped", "user_profiles", "nothing is in yet", "running it again"]);
        assert_eq!(count(&host, "store").await, 0);
        host.change_schema("ALTER TABLE gone RENAME TO user_profiles").await;
        // A quote that is never closed ends the second batch.
        let open = format!("{file}\"D,fourth,{}\n", "x".repeat(2_000_000));
        import(&host, "store", open, &["--batch", "2"]).assert_stopped(&["a quote is not closed", "everything up to line 3 is in"]);
        assert_eq!(count(&host, "store").await, 2);
        import(&host, "store", &file, &[]).assert(0, "1 added, 2 there already, 0 refused");
    }

    async fn doctors_and_patients_have_a_row_of_their_own(host: TestHost) {
        let file = format!("username,email,pwd,type,sex,age,fixphonenumber,certificat,certificat_checked,wechat,mobile\n\
            house,house@example.com,{MD5},0,0,51,555,key-1,2,wx-house,1\n\
            wilson,wilson@example.com,{MD5},,,,,,,wx-house,\n\
            cuddy,wilson@example.com,{MD5},2,1,,,,,,\n\
            cameron,,{MD5},,,,,,,,\n\
            chase,chase@example.com,{MD5},4,,,,,,,\n\
            foreman,foreman@example.com,{MD5},,,old,,,,,\n");
        let done = import(&host, "clinic", &file, &[]);
        done.assert(1, "2 added, 0 there already, 4 refused");
        assert_eq!(done.report, "line,reason\n3,wechat is taken by an earlier line of the file\n5,email is missing\n6,type is no number from 0 to 3\n7,age is no number from 0 to 150\n");
        let stored = rows(&host, "SELECT username, name, status, type, sex, age, fix_phone_number, certificate, certificate_checked, wechat, mobile FROM users JOIN clinic_users ON user_id = id ORDER BY id").await;
        assert_eq!(stored[0], [text("house"), text("house"), Integer(1), Integer(0), Integer(0), Integer(51), text("555"), text("key-1"), Integer(2), text("wx-house"), text("1")]);
        assert_eq!(stored[1], [text("cuddy"), text("cuddy"), Integer(1), Integer(2), Integer(1), Null, Null, Null, Null, Null, Null]);
        assert_eq!((stored.len(), count(&host, "clinic").await), (2, 2));
        // The same names are free in another realm.
        import(&host, "store", format!("name,username,password\nA,house,{MD5}\n"), &[]).assert(0, "1 added, 0 there already, 0 refused");
    }

    async fn staff_of_the_console_wait_for_approval_unless_they_have_it(host: TestHost) {
        let header = "nickname,name,phone,passwd,position,email,user_level,account_status,create_time";
        let file = format!("{header}\n\
            kim,Kim,1,{MD5},Manager,kim@example.com,1,1,2019-05-01 12:00:00\n\
            lee,Lee,2,{MD5},Clerk,lee@example.com,,,\n\
            ray,Ray,3,{MD5},Clerk,ray@example.com,,0,\n\
            joe,Joe,4,{MD5},,joe@example.com,,,\n\
            kim,Kim,5,{MD5},Clerk,kim2@example.com,,,\n");
        let done = import(&host, "console", &file, &["--zone", "+00:00"]);
        done.assert(1, "2 added, 0 there already, 3 refused");
        assert_eq!(done.report, "line,reason\n4,account_status is not -1 or 1\n5,position is missing\n6,nickname is taken by an earlier line of the file\n");
        let stored = rows(&host, "SELECT username, name, phone, email, status, position, level FROM users JOIN console_users ON user_id = id WHERE username <> 'admin' ORDER BY id").await;
        assert_eq!(stored[0], [text("kim"), text("Kim"), text("1"), text("kim@example.com"), Integer(1), text("Manager"), Integer(1)]);
        assert_eq!(stored[1], [text("lee"), text("Lee"), text("2"), text("lee@example.com"), Integer(-1), text("Clerk"), Integer(3)]);
        assert_eq!(rows(&host, "SELECT created_at FROM users WHERE username = 'kim'").await, [[Integer(1_556_712_000)]]);
    }

    async fn what_is_exported_can_be_imported_again(host: TestHost) {
        host.register("registered").await;
        let files = [
            ("store", format!("name,username,email,email_verified_at,phone,invitation_code,status,avatar,password,created_at,updated_at\n\
                \"Comma, \"\"quote\"\" and\nline\",odd,odd@example.com,5,9,code,-1,a.jpg,{MD5},1,2\n名字,中文,,,,,0,,{MD5},3,4\n")),
            ("clinic", format!("username,email,password,type,age,wechat,intro,name,status,created_at\nhouse,h@example.com,{MD5},2,51,wx,Hello,Gregory,-1,77\nw,w@example.com,{MD5},,,,,,,\n")),
            ("console", format!("nickname,name,phone,passwd,position,email,avatar,user_level,account_status,create_time\nkim,Kim,1,{MD5},Manager,kim@example.com,k.jpg,1,1,88\n")),
        ];
        // A first admin of the console has neither the e-mail address nor the phone that its users need.
        rows(&host, "DELETE FROM users WHERE realm = 'console' RETURNING id").await;
        for (realm, file) in files {
            assert_eq!(import(&host, realm, file, &[]).code, Some(0));
            let first = export(&host, realm, &format!("{realm}-1.csv"));
            assert_eq!(std::fs::metadata(&first).expect("a file").permissions().mode() & 0o777, 0o600);
            let first = std::fs::read_to_string(&first).expect("text");
            let before = count(&host, realm).await;
            host.sql("DELETE FROM users WHERE realm = $1 RETURNING id", vec![text(realm)]).await;
            assert_eq!(import(&host, realm, &first, &[]).code, Some(0));
            let second = export(&host, realm, &format!("{realm}-2.csv"));
            assert_eq!(first, std::fs::read_to_string(second).expect("text"));
            assert_eq!(count(&host, realm).await, before);
        }
        host.sign_in("registered", "secret-1").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_header_that_is_not_understood_is_refused() {
    let host = TestHost::on_sqlite().await;
    let refused = |file: &str, words: &[&str]| {
        import(&host, "store", file, &[]).assert_stopped(words);
    };
    let user = format!("A,first,x,{MD5}\n");
    let typo = format!("name,username,emial,password\n{user}");
    refused(&typo, &["emial", "did you mean email?", "--ignore-unknown"]);
    refused(&format!("name,username,{MD5},password\n{user}"), &["the column number 3 is not one"]);
    refused(&format!("name,username,email,email,password\n{user}"), &["email more than once"]);
    refused(&format!("name,username,email\n{user}"), &["no column password"]);
    refused(&user, &["the first line names no column", "name,username,email"]);
    refused("", &["the file is empty"]);
    import(&host, "store", typo, &["--ignore-unknown"])
        .assert(0, "1 added, 0 there already, 0 refused");
    // As Excel writes it.
    import(&host, "store", format!("\u{feff}Name,Username,Password\r\nB,second,{MD5}\r\n"), &[])
        .assert(0, "1 added, 0 there already, 0 refused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_data_folder_is_made_and_no_other_file_is_lost() {
    let host = TestHost::on_sqlite().await;
    let (data, users) = (host.folder().join("new"), host.folder().join("users.csv"));
    let file = format!("name,username,password\nA,first,{MD5}\n");
    std::fs::write(&users, &file).expect("a file");
    let run = |arguments: &[&str], input: &str| {
        let mut command = crate::support::guests::wharf();
        command.args(arguments).arg("--data").arg(&data).current_dir(host.folder());
        command.stdin(std::fs::File::open(host.folder().join(input)).expect("a file"));
        let Output { status, stdout, stderr } = command.output().expect("wharf runs");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        (status.code(), text(stdout), text(stderr))
    };
    let (code, summary, error) = run(&["import", "users", "--realm", "store", "-"], "users.csv");
    assert_eq!((code, summary.trim()), (Some(0), "1 added, 0 there already, 0 refused"), "{error}");
    let mode = std::fs::metadata(&data).expect("a folder").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);

    let (code, exported, _) = run(&["export", "users", "--realm", "store"], "users.csv");
    assert_eq!((code, exported.lines().count()), (Some(0), 2), "{exported}");
    let (code, _, error) = run(&["export", "users", "--realm", "store", "users.csv"], "users.csv");
    assert_eq!(code, Some(1));
    assert!(error.contains("users.csv is there already") && error.contains("--force"), "{error}");
    let report = ["import", "users", "--realm", "store", "--report", "users.csv", "users.csv"];
    let (code, _, error) = run(&report, "users.csv");
    assert_eq!(code, Some(1));
    assert!(error.contains("is no report of an import"), "{error}");
    assert_eq!(std::fs::read_to_string(&users).expect("text"), file);

    let (code, told, _) =
        run(&["export", "users", "--realm", "store", "users.csv", "--force"], "users.csv");
    assert_eq!((code, told.trim()), (Some(0), "1 user exported to users.csv"));
    assert_eq!(std::fs::read_to_string(&users).expect("text"), exported);
    let (code, _, error) =
        run(&["import", "users", "--realm", "store", "nowhere.csv"], "users.csv");
    assert_eq!(code, Some(1));
    assert!(error.contains("cannot read nowhere.csv"), "{error}");
    assert_eq!(run(&["import", "users", "--realm", "mars", "x.csv"], "users.csv").0, Some(2));
}
