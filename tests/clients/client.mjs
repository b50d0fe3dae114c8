// What the documents' snippets do, for every example, and what pages do besides: forms with files.
// Runs as it stands in Node and in a browser.

/** Asks for an example the way its snippet does, apart from the base URL. */
async function ask(base, example, token) {
    const [path, query] = example.target.split("?");
    const url = new URL(base + path);
    new URLSearchParams(query).forEach((value, key) => url.searchParams.append(key, value));
    const headers = { "Content-Type": "application/json", "Accept": "application/json" };
    if (token) headers["Authorization"] = token;
    const options = { method: example.method, headers };
    // The snippets hand the object over as it is, so that its text is sent: "[object Object]".
    if (example.body) options.body = example.body;
    const response = await fetch(url, options);
    return { status: response.status, json: await response.json() };
}

/** Every example without a token, in order. */
export async function examples(base, examples) {
    const answers = [];
    for (const example of examples) answers.push(await ask(base, example));
    return answers;
}

/** A doctor signs up, hands a certificate in and gets it back; the console's admin looks at a new user. */
export async function lives(base, { adminPassword, portrait }) {
    const seen = {};
    const json = (method, path, body, token) => fetch(base + path, {
        method,
        headers: { "Content-Type": "application/json", ...(token && { Authorization: token }) },
        body: body && JSON.stringify(body),
    });
    const picture = new Blob([Uint8Array.from(portrait)], { type: "image/png" });

    const doctor = { username: "doctor", password: "12345678", email: "doctor@example.com", sex: 1, age: 40 };
    seen.registered = await (await json("POST", "/api/auth/register", doctor)).json();
    const login = await (await json("POST", "/api/auth/login", { email: doctor.email, password: doctor.password })).json();
    const bearer = "Bearer " + login.access_token;
    const certificate = new FormData();
    certificate.append("certificate", picture, "certificate.png");
    const uploaded = await fetch(base + "/api/doctor/certificate/upload", { method: "POST", headers: { Authorization: bearer }, body: certificate });
    seen.uploaded = (await uploaded.json()).message;
    const downloaded = await fetch(base + "/api/doctor/certificate", { headers: { Authorization: bearer } });
    seen.downloaded = Array.from(new Uint8Array(await downloaded.arrayBuffer()));
    seen.type = downloaded.headers.get("content-type");

    const form = new FormData();
    form.append("avatar", picture, "avatar.png");
    const fields = { nickname: "浏览器", phone: "13800000001", passwd: "secret-1", repasswd: "secret-1", name: "浏览器", position: "职位1", email: "a@b.cn" };
    for (const [name, value] of Object.entries(fields)) form.append(name, value);
    seen.signedUp = await (await fetch(base + "/signUp", { method: "POST", body: form, credentials: "include" })).json();
    const captcha = await fetch(base + "/captcha", { credentials: "include" });
    const id = (await captcha.json()).data.captcha_id;
    seen.wrongCaptcha = (await (await json("POST", "/login", { nickname: "admin", passwd: adminPassword, captcha_id: id, captcha_code: "11111" })).json()).message;
    return seen;
}
