// The front end of helpers/notebook/camera.py, an anywidget. Pictures go to the kernel and nowhere else; no script, style or
// font comes from elsewhere. A picture is the central square of a frame, SIDE x SIDE pixels, as JPEG.
const SIDE = 224, EVERY = 100, MOST = 100, TAP = 2000; // pixels; ms between frames; frames a press; ms that a click records

const STYLE = `
.course-camera { max-width: 56em; line-height: 1.5; }
.course-camera video, .course-camera canvas { width: 224px; height: 224px; object-fit: cover; background: #444; border-radius: 4px; }
.course-camera .row { display: flex; flex-wrap: wrap; gap: 6px 14px; align-items: center; margin: 6px 0; }
.course-camera .side { display: flex; flex-wrap: wrap; gap: 16px; align-items: flex-start; }
.course-camera .side > div { flex: 1; min-width: 24em; }
.course-camera .side .row { display: grid; grid-template-columns: 14em 13em 8em; margin: 0 0 6px; }
.course-camera input { position: absolute; opacity: 0; width: 1px; }
.course-camera label { cursor: pointer; text-decoration: underline; }
.course-camera button { font: inherit; padding: 6px 12px; min-height: 2.4em; border: 1px solid #767676; border-radius: 4px;
  background: #fff; color: #111; cursor: pointer; touch-action: none; user-select: none; }
.course-camera button:focus-visible, .course-camera label:focus-within { outline: 3px solid #0072b2; outline-offset: 2px; }
.course-camera button[aria-pressed=true] { background: #0072b2; color: #fff; }
.course-camera button:disabled { color: #6b6b6b; background: #eee; cursor: not-allowed; }
.course-camera .trouble { border-left: 4px solid #d55e00; padding-left: 8px; max-width: 40em; }
.course-camera meter { width: 14em; height: 1.4em; }
.course-camera .bar { display: grid; grid-template-columns: 9em 14em 4em; gap: 8px; align-items: center; overflow-wrap: anywhere; }
.course-camera .answer { font-size: 1.3em; font-weight: bold; min-height: 1.6em; }
.course-camera small { color: inherit; opacity: .85; }`;

const INSECURE = "This page has no camera, because it is not a secure one: its address begins with http:// and names another " +
  "computer. Open JupyterLab on your own machine (http://localhost), or over https.";
const REASONS = {
  NotAllowedError: "The browser may not use the camera: permission was denied. Click the camera or the lock beside the page's " +
    "address, allow the camera, and press Start again. (On macOS and Windows the system's privacy settings can forbid it, too.)",
  NotFoundError: "There is no camera on this computer, or the system hides it. Plug one in, and press Start again.",
  NotReadableError: "Another program uses the camera, perhaps a video call. Close that, and press Start again.",
};
const INSTEAD = " Without a camera: choose picture files for each class below, or go on with a folder or zip of pictures.";

function reason(error) {
  if (!window.isSecureContext || !navigator.mediaDevices) return INSECURE + INSTEAD;
  return (REASONS[error.name] || `The camera does not work (${error.name}: ${error.message}).`) + INSTEAD;
}

function render({ model, el }) {
  const make = (kind, settings = {}, ...inside) => {
    const made = Object.assign(document.createElement(kind), settings);
    made.append(...inside);
    return made;
  };
  const canvas = make("canvas", { width: SIDE, height: SIDE });
  const video = make("video", { muted: true, playsInline: true, autoplay: true, ariaLabel: "What the camera sees" });
  const start = make("button", { type: "button", textContent: "Start the camera" });
  const undo = make("button", { type: "button", textContent: "Remove the last press" });
  const live = make("button", { type: "button", textContent: "Live", ariaPressed: "false" });
  const trouble = make("p", { className: "trouble", hidden: true, role: "alert" });
  const said = make("p", { role: "status" }); // read aloud when it changes
  const answer = make("div", { className: "answer", role: "status" });
  const speed = make("small"), bars = make("div"), rows = make("div");
  el.append(make("div", { className: "course-camera", role: "group", ariaLabel: "Camera" }, make("style", { textContent: STYLE }),
    make("div", { className: "row" }, start, undo, live), trouble,
    make("div", { className: "side" }, video, make("div", {}, rows, answer, bars, speed)), said));

  let stream = null, timer = null, pressed = null, alive = true, waiting = null, asked = 0, meters = [], times = [];

  // One picture: the central square of a frame or of a file, as JPEG
  const picture = (source, wide, high) => new Promise(done => {
    const side = Math.min(wide, high);
    canvas.getContext("2d").drawImage(source, (wide - side) / 2, (high - side) / 2, side, side, 0, 0, SIDE, SIDE);
    canvas.toBlob(async blob => done(await blob.arrayBuffer()), "image/jpeg", 0.9);
  });
  const send = (content, buffer) => model.send(content, undefined, buffer ? [buffer] : []);
  const frame = () => picture(video, video.videoWidth, video.videoHeight);

  start.onclick = async () => {
    if (stream) return stop();
    trouble.hidden = true;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: { ideal: "environment" } }, audio: false });
      if (!alive) return stop();
      video.srcObject = stream;
      await video.play();
      start.textContent = "Stop the camera";
      said.textContent = "The camera runs. Hold a class's button, with the mouse, a finger or the space bar, to record.";
    } catch (error) {
      stop();
      trouble.textContent = reason(error);
      trouble.hidden = false;
      send({ kind: "trouble", text: trouble.textContent });
    }
    show();
  };

  function stop() {
    release();
    if (stream) stream.getTracks().forEach(track => track.stop());
    stream = video.srcObject = null;
    start.textContent = "Start the camera";
    listen(false);
    show();
  }

  // Recording: while a button is held, a frame every EVERY ms; one press of a button is one burst
  function press(button, label) {
    if (pressed || !stream || !video.videoWidth) return;
    pressed = { button, label, id: `${Date.now()}-${Math.random()}`, sent: 0 };
    button.ariaPressed = "true";
    timer = setInterval(record, EVERY);
    record();
  }
  async function record() {
    const mine = pressed;
    if (!mine) return;
    if (mine.sent++ >= MOST) return release();
    send({ kind: "frame", label: mine.label, press: mine.id }, await frame());
  }
  function release() {
    clearInterval(timer);
    if (pressed) pressed.button.ariaPressed = "false";
    pressed = null;
  }

  // Files instead of the camera: those that are chosen together count as one press
  async function choose(input, label) {
    const id = `${Date.now()}-files`;
    for (const file of input.files) {
      try {
        const bitmap = await createImageBitmap(file);
        send({ kind: "frame", label, press: id }, await picture(bitmap, bitmap.width, bitmap.height));
      } catch {
        trouble.textContent = `${file.name} was left out: this browser cannot read it as a picture.`;
        trouble.hidden = false;
      }
    }
    input.value = "";
  }

  // A row for each class: a button to hold, how many pictures there are, a way to choose files
  function show() {
    const labels = model.get("labels"), counts = model.get("counts"), held = pressed && pressed.label;
    if (rows.childElementCount !== labels.length) rows.replaceChildren(...labels.map(row));
    labels.forEach((name, label) => {
      const [button, count] = rows.children[label].children, [pictures, presses] = counts[label] || [0, 0];
      button.disabled = !stream && held !== label;
      count.textContent = `${pictures} pictures in ${presses} ${presses === 1 ? "press" : "presses"}`;
    });
    undo.disabled = !model.get("undoable");
    live.disabled = !(model.get("classes").length && stream);
    live.title = live.disabled ? "Live answers need the camera and a trained network: camera.live(classifier)" : "";
  }
  function row(name, label) {
    const button = make("button", { type: "button", textContent: `Hold: ${name}`, ariaPressed: "false" });
    button.ariaLabel = `Hold to record ${name}`;
    let keyed = false;
    const let_go = () => { if (pressed && pressed.button === button) release(); };
    button.onpointerdown = event => { if (event.button === 0) press(button, label); };
    ["pointerup", "pointercancel", "pointerleave", "blur"].forEach(kind => button.addEventListener(kind, let_go));
    button.onkeydown = event => {
      if (event.key !== " " && event.key !== "Enter") return;
      event.preventDefault();
      keyed = true;
      if (!event.repeat) press(button, label);
    };
    button.onkeyup = () => { let_go(); setTimeout(() => { keyed = false; }); };
    button.onclick = event => { // by a screen reader, which does not hold
      if (event.detail || keyed) return;
      press(button, label);
      setTimeout(let_go, TAP);
    };
    const input = make("input", { type: "file", accept: "image/*", multiple: true, ariaLabel: `Choose picture files of ${name}` });
    input.onchange = () => choose(input, label);
    return make("div", { className: "row" }, button, make("span"), make("label", {}, "or choose files", input));
  }

  // Live: a frame goes, its answer comes back, the next frame goes
  function listen(on) {
    live.ariaPressed = String(on);
    waiting = on ? (waiting ?? 0) : null;
    times = [];
    if (on) ask();
    else speed.textContent = "";
  }
  live.onclick = () => listen(live.ariaPressed !== "true");
  async function ask() {
    if (live.ariaPressed !== "true" || !stream) return;
    waiting = ++asked;
    send({ kind: "ask", id: waiting }, await frame());
  }
  function answered(message) {
    if (message.kind !== "answer" || message.id !== waiting) return;
    if (message.trouble) {
      listen(false);
      trouble.textContent = message.trouble;
      trouble.hidden = false;
      return;
    }
    trouble.hidden = true;
    const classes = model.get("classes"), best = message.shares.indexOf(Math.max(...message.shares));
    if (meters.length !== classes.length || bars.dataset.of !== classes.join()) {
      bars.dataset.of = classes.join();
      meters = classes.map(name => make("meter", { min: 0, max: 1, ariaLabel: name }));
      bars.replaceChildren(...classes.map((name, at) =>
        make("div", { className: "bar" }, make("span", { textContent: name }), meters[at], make("span"))));
    }
    message.shares.forEach((share, at) => {
      meters[at].value = share;
      bars.children[at].lastChild.textContent = `${Math.round(100 * share)}%`;
    });
    if (answer.textContent !== classes[best]) answer.textContent = classes[best]; // announced only when it changes
    times = [...times.slice(-19), performance.now()];
    const rate = 1000 * (times.length - 1) / (times.at(-1) - times[0]);
    if (times.length > 1) speed.textContent = `${rate.toFixed(1)} answers a second`;
    requestAnimationFrame(ask);
  }

  undo.onclick = () => send({ kind: "undo" });
  const tell = () => { said.textContent = model.get("said"); };
  // The notebook's own keys (a, b, d d, Enter) must not act while a button here has the focus.
  el.addEventListener("keydown", event => { if (event.key !== "Tab" && event.key !== "Escape") event.stopPropagation(); });
  const followed = { "change:counts": show, "change:labels": show, "change:classes": show, "change:undoable": show,
    "change:said": tell, "msg:custom": answered };
  for (const [event, act] of Object.entries(followed)) model.on(event, act);
  show();
  tell();
  return () => {
    alive = false;
    for (const [event, act] of Object.entries(followed)) model.off(event, act);
    stop();
  };
}

export default { render };
