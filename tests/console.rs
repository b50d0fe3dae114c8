//! The realm `console`, as its clients know it, on both databases.

use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::support::{ADMIN_PASSWORD, Answer, Ask as _, TestHost, files, keys, on_both_databases};

/// What everybody without the right to something is told.
const NOT_ALLOWED: &str = "权限不足，操作失败";

/// Asks for something with a token as the console's clients send it: without a scheme.
async fn ask(host: &TestHost, method: &str, path: &str, token: &str) -> Answer {
    let method = method.parse().expect("a method");
    host.request(method, path).header("authorization", token).answer().await
}

/// That an answer is this envelope.
#[track_caller]
fn assert_envelope(answer: &Answer, status: bool, data: Value, message: &str, cmd: &str) {
    let expected = json!({ "status": status, "data": data, "message": message, "cmd": cmd });
    assert_eq!(
        (answer.status.as_u16(), answer.body.as_str()),
        (200, expected.to_string().as_str())
    );
    assert_eq!(answer.header("content-type"), "application/json; charset=utf-8");
}

/// That an answer is a refusal with this message.
#[track_caller]
fn assert_refused(answer: &Answer, message: &str) {
    assert_eq!(
        (answer.status.as_u16(), keys(&answer.json())),
        (200, vec!["status", "data", "message", "cmd"]),
        "{answer:?}"
    );
    assert_eq!(
        (&answer.json()["status"], &answer.json()["data"], &answer.json()["message"]),
        (&json!(false), &json!([]), &json!(message))
    );
}

/// A form that signs somebody up, with some fields changed and, where they are null, left out.
fn form(changes: &Value) -> Form {
    let mut fields = json!({
        "nickname": "测试用户5", "phone": "13800000001", "passwd": "secret-1", "repasswd": "secret-1",
        "name": "测试用户5", "position": "职位1", "email": "abc@abc.com",
    });
    for (name, value) in changes.as_object().expect("an object") {
        fields[name] = value.clone();
    }
    let mut form = Form::new().part("avatar", Part::bytes(files::png(8, 8)).file_name("a.png"));
    for (name, value) in fields.as_object().expect("an object") {
        if let Some(text) = value.as_str() {
            form = form.text(name.clone(), text.to_owned());
        }
    }
    form
}

on_both_databases! {
    async fn a_user_lives(host: TestHost) {
        let signed_up = host.put("/signUp").multipart(form(&json!({}))).answer().await;
        assert_envelope(&signed_up, true, json!([]), "注册成功", "signUp");
        assert_refused(&host.console_login("测试用户5", "secret-1").await, "用户正在等待审核中");

        let login = host.console_login("admin", ADMIN_PASSWORD).await;
        let admin = login.data()["token"].as_str().expect("a token").to_owned();
        let data = json!({ "id": 2, "account_status": 1, "nickname": "admin", "user_level": 1, "token": admin });
        assert_envelope(&login, true, data, "登录成功", "login");

        let listed = json!({
            "id": 3, "nickname": "测试用户5", "name": "测试用户5", "phone": "13800000001", "position": "职位1",
            "email": "abc@abc.com", "account_status": "待审核", "create_time": "2023-11-15 06:13:20",
        });
        let page = json!({ "total": 1, "per_page": 15, "current_page": 1, "last_page": 1, "data": [listed] });
        assert_envelope(&ask(&host, "GET", "/list/user", &admin).await, true, page, "success", "list/user");

        assert_envelope(&ask(&host, "PUT", "/audit/user/3", &admin).await, true, json!([]), "success", "audit/user");
        assert_envelope(&ask(&host, "PUT", "/audit/user/3", &admin).await, true, json!([]), "success", "audit/user");
        assert_eq!(ask(&host, "GET", "/list/user", &admin).await.data()["data"][0]["account_status"], "已审核");
        let user = host.console_sign_in("测试用户5", "secret-1").await;
        for (method, path) in [("GET", "/list/user"), ("GET", "/user/3"), ("PUT", "/user/3"), ("PUT", "/audit/user/3"), ("DELETE", "/user/3")] {
            assert_refused(&ask(&host, method, path, &user).await, NOT_ALLOWED);
        }

        let changes = json!({ "id": 3, "nickname": "newname", "name": "", "phone": "13900000002", "position": "职位-2", "email": "a@b.cn" });
        let changed = host.put("/user/3").header("authorization", &admin).json(&changes).answer().await;
        assert_envelope(&changed, true, json!([]), "success", "user/3");
        let detail = json!({ "id": 3, "nickname": "newname", "name": "测试用户5", "phone": "13900000002", "position": "职位-2", "email": "a@b.cn" });
        assert_envelope(&ask(&host, "GET", "/user/3?id=9", &admin).await, true, detail, "success", "user/3");

        let deleted = host.delete("/user/3").header("authorization", &admin).form(&json!({ "id": 3 })).answer().await;
        assert_envelope(&deleted, true, json!(true), "success", "user/3");
        assert_envelope(&ask(&host, "GET", "/user/3", &admin).await, true, json!([]), "success", "user/3");
        assert_refused(&ask(&host, "GET", "/list/user", &user).await, "登录凭证过期，请重新登录");
        assert_eq!(host.blobs(), Vec::<String>::new());
        let page = json!({ "total": 0, "per_page": 15, "current_page": 1, "last_page": 0, "data": [] });
        assert_envelope(&ask(&host, "GET", "/list/user?page=1", &admin).await, true, page, "success", "list/user");
    }

    async fn each_rule_of_signing_up_has_its_message(host: TestHost) {
        host.console_user("taken", "13800000009").await;
        for (changes, message) in [
            (json!({ "nickname": null }), "nickname不能为空"),
            (json!({ "nickname": "a" }), "nickname长度不符合要求 2,16"),
            (json!({ "nickname": "a".repeat(17) }), "nickname长度不符合要求 2,16"),
            (json!({ "nickname": "a b" }), "nickname只能是汉字、字母、数字和下划线_及破折号-"),
            (json!({ "nickname": "taken", "phone": "1" }), "该用户名已被使用"),
            (json!({ "phone": null }), "phone不能为空"),
            (json!({ "phone": "12800000001" }), "手机号格式不正确"),
            (json!({ "phone": "17000000001" }), "禁止使用虚拟电话号"),
            (json!({ "passwd": null }), "请填写密码"),
            (json!({ "repasswd": "secret-2" }), "两次密码输入不一致，请重新输入"),
            (json!({ "repasswd": null }), "两次密码输入不一致，请重新输入"),
            (json!({ "passwd": "se cret", "repasswd": "se cret" }), "密码只能由字母、数字、下划线 _ 、破折号 - 组成"),
            (json!({ "passwd": "short", "repasswd": "short" }), "密码位数只能为 6~16 位"),
            (json!({ "passwd": "a".repeat(17), "repasswd": "a".repeat(17) }), "密码位数只能为 6~16 位"),
            (json!({ "name": null }), "name不能为空"),
            (json!({ "name": "a" }), "name长度不符合要求 2,16"),
            (json!({ "name": "a.b" }), "name只能是汉字、字母、数字和下划线_及破折号-"),
            (json!({ "position": null }), "请输入职务名称"),
            (json!({ "position": "职" }), "请输入2~16字的职务名称"),
            (json!({ "position": "职".repeat(21) }), "请输入2~16字的职务名称"),
            (json!({ "position": "职 位" }), "position只能是汉字、字母、数字和下划线_及破折号-"),
            (json!({ "email": null }), "请输入电子邮箱"),
            (json!({ "email": "nobody" }), "请输入正确的电子邮箱"),
            (json!({ "email": format!("{}@b.cn", "a".repeat(255)) }), "电子邮箱最大可输入254字"),
            (json!({ "phone": "13800000009" }), "注册失败，请稍后再试"),
        ] {
            assert_refused(&host.put("/signUp").multipart(form(&changes)).answer().await, message);
        }
        assert_eq!(host.blobs().len(), 1, "only the first user's portrait is kept");
    }

    async fn portraits_are_checked_kept_and_shown(host: TestHost) {
        let with = |part: Option<Part>| {
            let fields = ["nickname", "phone", "passwd", "repasswd", "name", "position", "email"];
            let values = ["nickname", "13800000001", "secret-1", "secret-1", "name", "position", "a@b.cn"];
            let form = fields.into_iter().zip(values).fold(Form::new(), |form, (name, value)| form.text(name, value));
            match part {
                Some(part) => form.part("avatar", part),
                None => form,
            }
        };
        let file = |name: &str, content: Vec<u8>| Some(Part::bytes(content).file_name(name.to_owned()));
        let mut too_large = files::png(8, 8);
        too_large.resize(30_721, 0);
        for (part, message) in [
            (None, "请上传头像"),
            (Some(Part::text("soluta")), "avatar不是有效的上传文件"),
            (file("a.gif", files::png(8, 8)), "上传文件后缀不允许"),
            (file("a", files::png(8, 8)), "上传文件后缀不允许"),
            (file("a.png", b"GIF89a".to_vec()), "上传文件后缀不允许"),
            (file("a.png", b"<?php".to_vec()), "上传文件后缀不允许"),
            (file("a.png", files::pdf(100)), "上传文件后缀不允许"),
            (file("a.png", too_large), "上传文件大小不符！"),
            (file("a.png", Vec::new()), "avatar不是有效的上传文件"),
            (file("../a.png", files::png(8, 8)), "avatar不是有效的上传文件"),
            (file("a.png", files::png(80, 80)[..80].to_vec()), "avatar不是有效的上传文件"),
        ] {
            assert_refused(&host.post("/signUp").multipart(with(part)).answer().await, message);
        }
        assert_eq!(host.blobs(), Vec::<String>::new());

        let content = files::picture(image::ImageFormat::Bmp, 9, 7);
        let signed_up = host.post("/signUp").multipart(with(file("a.JPEG", content.clone()))).answer().await;
        assert_envelope(&signed_up, true, json!([]), "注册成功", "signUp");
        let stored = host.sql("SELECT avatar FROM users WHERE username = 'nickname'", Vec::new()).await;
        let [wharf::database::Value::Text(path)] = stored.rows[0].as_slice() else { panic!("a path") };
        assert_eq!(host.blobs(), [path.as_str()]);
        assert!(path.starts_with("uploads/20231115/") && path.rsplit('.').next() == Some("bmp"), "{path}");
        let shown = host.get(&format!("/{path}")).send().await.expect("an answer");
        assert_eq!((shown.headers()["content-type"].as_bytes(), shown.headers()["x-content-type-options"].as_bytes()), (&b"image/bmp"[..], &b"nosniff"[..]));
        assert_eq!(shown.bytes().await.expect("the portrait"), content);
        for path in ["/uploads/20231115/nothing.png", "/uploads/a/b", "/uploads/%2e%2e/%2e%2e%2fdefault.db", "/uploads/../default.db"] {
            assert_eq!(host.get(path).answer().await.status, 404, "{path}");
        }
    }

    async fn each_rule_of_signing_in_has_its_message(host: TestHost) {
        let (id, code) = host.console_captcha().await;
        let wrong = if code == "AAAAA" { "CCCCC" } else { "AAAAA" };
        for (changes, message) in [
            (json!({ "nickname": "a" }), "nickname长度不符合要求 2,16"),
            (json!({ "passwd": "short" }), "密码位数只能为 6~16 位"),
            (json!({ "passwd": "a b c d" }), "密码只能由字母、数字、下划线 _ 、破折号 - 组成"),
            (json!({ "captcha_code": "" }), "请填写验证码"),
            (json!({ "captcha_code": "abcd" }), "请输入正确的验证码"),
            (json!({ "captcha_code": "abc-d" }), "验证码只能为字母和数字"),
            (json!({ "captcha_id": "" }), "验证码参数缺失"),
            (json!({ "captcha_id": "a".repeat(33) }), "请填写正确的验证码参数"),
            (json!({ "captcha_id": "a-b" }), "请填写正确的验证码参数"),
            (json!({ "captcha_id": "0".repeat(32) }), "请输入正确的验证码"),
            (json!({ "captcha_code": wrong }), "请输入正确的验证码"),
            // A wrong answer has consumed it.
            (json!({}), "请输入正确的验证码"),
        ] {
            let mut body = json!({ "nickname": "admin", "passwd": ADMIN_PASSWORD, "captcha_id": id, "captcha_code": code });
            for (name, value) in changes.as_object().expect("an object") {
                body[name] = value.clone();
            }
            assert_refused(&host.post("/login").json(&body).answer().await, message);
        }
        for (nickname, password) in [("admin", "wrong-one"), ("nobody", ADMIN_PASSWORD), ("admin", ""), ("", ADMIN_PASSWORD)] {
            assert_refused(&host.console_login(nickname, password).await, "用户名或密码输入错误，请稍后再试");
        }
        let (id, code) = host.console_captcha().await;
        let form = Form::new().text("nickname", "admin").text("passwd", ADMIN_PASSWORD).text("captcha_id", id).text("captcha_code", code.to_lowercase());
        assert_eq!(host.post("/login").multipart(form).answer().await.json()["message"], "登录成功");
    }

    async fn validation_comes_before_the_token(host: TestHost) {
        assert_refused(&host.get("/list/user?page=quia").answer().await, "参数类型错误");
        assert_refused(&host.put("/user/3").json(&json!({ "phone": "1" })).answer().await, "手机号格式不正确");
        assert_refused(&host.get("/list/user").answer().await, NOT_ALLOWED);
        assert_refused(&host.put("/user/3").json(&json!({ "phone": "13800000001" })).answer().await, NOT_ALLOWED);
    }

    async fn a_refused_token_says_why(host: TestHost) {
        let (admin, store, doctor) = (host.console_admin().await, host.admin().await, host.doctor("demo").await);
        // With and without a scheme.
        assert_eq!(ask(&host, "GET", "/list/user", &format!("Bearer {admin}")).await.json()["status"], true);
        for (token, message) in [("garbage", "请求参数不可解析，访问异常！"), (store.as_str(), "非法登录信息"), (doctor.as_str(), "非法登录信息")] {
            for (method, path) in [("GET", "/list/user"), ("GET", "/user/1"), ("PUT", "/user/1"), ("DELETE", "/user/1"), ("PUT", "/audit/user/1"), ("GET", "/captcha")] {
                assert_refused(&ask(&host, method, path, token).await, message);
            }
        }
        // Elsewhere it is nothing.
        host.get("/api/auth/me").header("authorization", &admin).answer().await.assert_unauthenticated();
        host.me(&admin).await.assert_unauthenticated();

        let id = host.console_user("测试用户5", "13800000001").await;
        ask(&host, "PUT", &format!("/audit/user/{id}"), &admin).await;
        let user = host.console_sign_in("测试用户5", "secret-1").await;
        host.sql("UPDATE users SET status = -1 WHERE username = '测试用户5' RETURNING id", Vec::new()).await;
        assert_refused(&ask(&host, "GET", "/list/user", &user).await, "账户正在审核中，请等待审核完成");
        host.sql("DELETE FROM users WHERE username = '测试用户5' RETURNING id", Vec::new()).await;
        assert_refused(&ask(&host, "GET", "/list/user", &user).await, "无效凭证信息，请重新登录");
        host.clock.advance(366 * 24 * 60 * 60);
        assert_refused(&ask(&host, "GET", "/list/user", &admin).await, "登录凭证过期，请重新登录");
    }

    async fn a_sign_in_lasts_as_long_as_it_is_used(host: TestHost) {
        let admin = host.console_admin().await;
        for _ in 0..4 {
            host.clock.advance(6 * 24 * 60 * 60);
            assert_eq!(ask(&host, "GET", "/list/user", &admin).await.json()["status"], true);
        }
        host.clock.advance(7 * 24 * 60 * 60);
        assert_refused(&ask(&host, "GET", "/list/user", &admin).await, "登录凭证过期，请重新登录");
    }

    async fn a_user_whose_portrait_lies_elsewhere_can_be_removed(host: TestHost) {
        let (admin, id) = (host.console_admin().await, host.console_user("moved-in", "13800000001").await);
        host.sql("UPDATE users SET avatar = 'http://elsewhere/a b.png' WHERE username = 'moved-in' RETURNING id", Vec::new()).await;
        assert_eq!(ask(&host, "DELETE", &format!("/user/{id}"), &admin).await.json()["data"], true);
        assert_eq!(ask(&host, "GET", "/list/user", &admin).await.data()["total"], 0);
    }

    async fn levels_decide_who_may_what(host: TestHost) {
        let root = host.console_admin().await;
        let (one, two) = (host.console_user("user-one", "13800000001").await, host.console_user("user-two", "13800000002").await);
        for id in [one, two] {
            ask(&host, "PUT", &format!("/audit/user/{id}"), &root).await;
        }
        host.sql("UPDATE console_users SET level = 2 WHERE user_id = $1 RETURNING level", vec![wharf::database::Value::Integer(one)]).await;
        let admin = host.console_sign_in("user-one", "secret-1").await;
        assert_eq!(ask(&host, "GET", "/list/user", &admin).await.data()["total"], 1);
        assert_eq!(ask(&host, "GET", &format!("/user/{two}"), &admin).await.data()["nickname"], "user-two");
        for (method, path) in [("PUT", format!("/user/{two}")), ("PUT", format!("/audit/user/{two}")), ("DELETE", format!("/user/{two}"))] {
            assert_refused(&ask(&host, method, &path, &admin).await, NOT_ALLOWED);
        }
        // Users beyond level 3 are neither shown, nor changed, nor removed, whoever asks.
        assert_eq!(ask(&host, "GET", &format!("/user/{one}"), &root).await.data(), json!([]));
        let changed = host.put(&format!("/user/{one}")).header("authorization", &root).json(&json!({ "name": "other", "position": "other" })).answer().await;
        assert_eq!(changed.json()["status"], true);
        assert_eq!(ask(&host, "DELETE", &format!("/user/{one}"), &root).await.json()["data"], true);
        let kept = host.sql("SELECT name, position FROM users JOIN console_users ON user_id = id WHERE username = 'user-one'", Vec::new()).await;
        assert_eq!(kept.rows, [["测试用户5", "职位1"].map(|text| wharf::database::Value::Text(text.into()))]);
        let unknown = host.put("/user/999").header("authorization", &root).form(&json!({ "name": "other" })).answer().await;
        assert_envelope(&unknown, true, json!([]), "success", "user/999");
        let changed = host.put(&format!("/user/{two}")).header("authorization", &root).form(&json!({ "id": 999, "name": "表单" })).answer().await;
        assert_eq!(changed.json()["status"], true);
        assert_eq!(ask(&host, "GET", &format!("/user/{two}"), &root).await.data()["name"], "表单");
        // Whoever waits can be let in, of whatever level.
        host.sql("UPDATE users SET status = -1 WHERE username = 'user-one' RETURNING id", Vec::new()).await;
        assert_refused(&ask(&host, "GET", "/list/user", &admin).await, "账户正在审核中，请等待审核完成");
        assert_eq!(ask(&host, "PUT", &format!("/audit/user/{one}"), &root).await.json()["status"], true);
        assert_eq!(ask(&host, "GET", "/list/user", &admin).await.json()["status"], true);
        assert_refused(&ask(&host, "PUT", "/audit/user/999", &root).await, "操作失败，请检查参数稍后重试");
        assert_eq!(ask(&host, "DELETE", "/user/999", &root).await.json()["data"], true);
        for (body, message) in [
            (json!({ "nickname": "user-one" }), "该用户名已被使用"),
            (json!({ "nickname": "a" }), "nickname长度不符合要求 2,16"),
            (json!({ "phone": "13800000001" }), "修改用户失败"),
            (json!({ "email": "nobody" }), "请输入正确的电子邮箱"),
        ] {
            assert_refused(&host.put(&format!("/user/{two}")).header("authorization", &root).json(&body).answer().await, message);
        }
        let same = host.put(&format!("/user/{two}")).header("authorization", &root).json(&json!({ "nickname": "user-two" })).answer().await;
        assert_eq!(same.json()["status"], true);
        for path in ["/user/abc", "/user/1.5", "/user/-1", "/audit/user/x"] {
            let answer = ask(&host, "PUT", path, &root).await;
            assert_eq!((answer.status.as_u16(), &answer.json()["message"]), (404, &json!("请求地址不存在")), "{path}");
        }
    }

    async fn users_come_in_pages_newest_first(host: TestHost) {
        for number in 1..=17 {
            let statement = format!("INSERT INTO users (realm, name, username, status, password, created_at, updated_at) VALUES ('console', 'n', 'user{number}', 1, 'x', 0, 0) RETURNING id");
            let made = host.sql(&statement, Vec::new()).await.rows.remove(0);
            host.sql("INSERT INTO console_users (user_id, position) VALUES ($1, 'p') RETURNING user_id", made).await;
        }
        let admin = host.console_admin().await;
        for (page, current, rows, first) in [("1", 1, 15, "user17"), ("2", 2, 2, "user2"), ("0", 1, 15, "user17"), ("9", 2, 0, ""), ("99999999999999999999", 1, 15, "user17")] {
            let data = ask(&host, "GET", &format!("/list/user?page={page}"), &admin).await.data();
            assert_eq!((&data["total"], &data["last_page"], &data["current_page"]), (&json!(17), &json!(2), &json!(current)), "{page}");
            let users = data["data"].as_array().expect("users");
            assert_eq!((users.len(), users.first().map_or("", |user| user["nickname"].as_str().expect("a name"))), (rows, first), "{page}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn removing_a_user_who_signs_in_is_never_a_failure() {
    let host = TestHost::on_sqlite().await;
    let admin = host.console_admin().await;
    for round in 0..10 {
        let nickname = format!("user-{round}");
        let id = host.console_user(&nickname, &format!("138000000{round:02}")).await;
        ask(&host, "PUT", &format!("/audit/user/{id}"), &admin).await;
        let path = format!("/user/{id}");
        let (login, again, removed) = tokio::join!(
            host.console_login(&nickname, "secret-1"),
            host.console_login(&nickname, "secret-1"),
            ask(&host, "DELETE", &path, &admin)
        );
        assert_eq!(removed.json()["data"], true);
        for login in [login, again] {
            assert_eq!(login.status, 200, "{login:?}");
            if let Some(token) = login.json()["data"]["token"].as_str() {
                assert_eq!(ask(&host, "GET", "/list/user", token).await.json()["status"], false);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_leaves_nothing_half_done() {
    use tokio::io::AsyncWriteExt as _;
    let host = TestHost::on_sqlite().await;
    for number in 0..20 {
        let fields = [
            ("nickname", format!("user-{number}")),
            ("phone", format!("138000000{number:02}")),
            ("passwd", "secret-1".into()),
            ("repasswd", "secret-1".into()),
            ("name", "name".into()),
            ("position", "position".into()),
            ("email", format!("{number}@b.cn")),
        ];
        let mut body = Vec::new();
        for (name, value) in fields {
            body.extend(
                format!(
                    "--x\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
                )
                .bytes(),
            );
        }
        body.extend(
            b"--x\r\ncontent-disposition: form-data; name=\"avatar\"; filename=\"a.png\"\r\n\r\n",
        );
        body.extend([files::png(8, 8), b"\r\n--x--\r\n".to_vec()].concat());
        let head = format!(
            "POST /signUp HTTP/1.1\r\nhost: a\r\ncontent-type: multipart/form-data; boundary=x\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let mut stream =
            tokio::net::TcpStream::connect(host.address()).await.expect("a connection");
        stream.write_all(&[head.into_bytes(), body].concat()).await.expect("it is sent");
        // Long enough for some to be in the middle of it.
        for _ in 0..number * 20 {
            tokio::task::yield_now().await;
        }
        drop(stream);
    }
    // One who stays, and whose password is hashed after those of all who left.
    host.console_user("stays", "13900000000").await;
    // Whoever was begun to be made is made, with the portrait, and nobody else has one.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    loop {
        let users = host.sql("SELECT avatar FROM users WHERE realm = 'console' AND avatar IS NOT NULL ORDER BY avatar", Vec::new()).await;
        let mut blobs = host.blobs();
        blobs.sort();
        let kept: Vec<_> =
            blobs.into_iter().map(|key| vec![wharf::database::Value::Text(key)]).collect();
        if kept == users.rows {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "{kept:?} {:?}", users.rows);
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn captchas_live_for_a_minute() {
    let host = TestHost::on_sqlite().await;
    let answer = host.get("/captcha").answer().await;
    assert_eq!(keys(&answer.data()), ["id", "captcha_id", "picture"]);
    let id = answer.data()["id"].as_str().expect("an id").to_owned();
    assert!(
        id.len() == 32
            && id.bytes().all(|byte| byte.is_ascii_hexdigit())
            && id.bytes().skip(30).all(|byte| byte.is_ascii_digit()),
        "{id}"
    );
    assert_eq!(answer.data()["captcha_id"], id);
    let picture = answer.data()["picture"]
        .as_str()
        .and_then(|url| url.strip_prefix("data:image/png;base64,"))
        .expect("a picture")
        .to_owned();
    let picture = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, picture)
        .expect("base64");
    let picture = image::load_from_memory(&picture).expect("a PNG");
    assert_eq!((picture.width(), picture.height()), (250, 62));
    let sign_in = |id: String, code: String| {
        let body = json!({ "nickname": "admin", "passwd": ADMIN_PASSWORD, "captcha_id": id, "captcha_code": code });
        host.post("/login").json(&body).answer()
    };
    let code = answer.header("x-captcha-code").to_owned();
    host.clock.advance(60);
    assert_refused(&sign_in(id, code).await, "请输入正确的验证码");
    let (id, code) = host.console_captcha().await;
    host.clock.advance(59);
    let answers =
        futures_util::future::join_all((0..20).map(|_| sign_in(id.clone(), code.clone()))).await;
    assert_eq!(answers.iter().filter(|answer| answer.json()["status"] == true).count(), 1);
    // The store's captchas open no console.
    let (key, code) = host.captcha().await;
    assert_refused(&sign_in(key.replace('-', ""), code).await, "请输入正确的验证码");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_any_origin_may_ask() {
    let host = TestHost::on_sqlite().await;
    for path in ["/signUp", "/login", "/list/user", "/user/57", "/audit/user/45", "/captcha"] {
        let preflight = host
            .request(reqwest::Method::OPTIONS, path)
            .header("origin", "https://console.example")
            .header("access-control-request-method", "PUT")
            .header("access-control-request-headers", "authorization,content-type")
            .answer()
            .await;
        assert_envelope(&preflight, true, json!([]), "success", &path[1..]);
        for (name, value) in [
            ("access-control-allow-origin", "https://console.example"),
            ("access-control-allow-credentials", "true"),
            ("access-control-allow-methods", "PUT"),
            ("access-control-allow-headers", "authorization,content-type"),
            ("access-control-max-age", "3600"),
        ] {
            assert_eq!(preflight.header(name), value, "{path}");
        }
        let plain = host.request(reqwest::Method::OPTIONS, path).answer().await;
        assert_eq!(
            plain.header("access-control-allow-methods"),
            "GET,POST,PATCH,PUT,HEAD,OPTIONS,DELETE"
        );
    }
    let answer = host.get("/list/user").header("origin", "https://console.example").answer().await;
    assert_eq!(
        (answer.header("access-control-allow-origin"), answer.header("vary")),
        ("https://console.example", "origin")
    );
}
