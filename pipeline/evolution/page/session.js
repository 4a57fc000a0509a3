import { answered, computed, show, Silence } from "/assets/shared.js";
import { Tiles } from "/assets/tiles.js";
import { Closer } from "/assets/closer.js";

const POLL = 500; // milliseconds between questions while another tab computes
const RETRY = 2000; // and while the server does not answer
const LEAST = 0.02; // smallest change, as PreferenceEvolution has it; the largest is 1

const at = (id) => document.getElementById(id);
const name = at("desk").dataset.session;
const base = `/sessions/${name}`;
let state = null;
let computing = true;

const tiles = new Tiles(at("grid"), { changed: picked, looked: (row) => closer.open(row) });
const closer = new Closer(tiles, (row) => ({ src: state.images[row], file: rowAddress(row) }));

function rowAddress(row) {
  return `${base}/${state.revision}/${row}`;
}

// Picks that were not sent survive a reload in the tab, and the end of the browser at the server.
const memory = {
  key: () => `picks ${name} ${state.revision}`,
  read() {
    const none = new Array(state.images.length).fill(0);
    const held = JSON.parse(sessionStorage.getItem(this.key()) || "null") ?? state.picked;
    return held?.length === none.length ? held : none;
  },
  write(counts) { sessionStorage.setItem(this.key(), JSON.stringify(counts)); },
};

// One request at a time, so that the last to arrive is the newest.
const draft = {
  sending: false,
  newer: false,
  async send() {
    this.newer = true;
    if (this.sending) return;
    this.sending = true;
    while (this.newer) {
      this.newer = false;
      await fetch(`${base}/picks`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ shown: state.revision, counts: tiles.counts }),
        keepalive: true, // beyond a reload
      }).catch(() => {}); // a server that is gone is told when it is back
    }
    this.sending = false;
  },
};

function picked() {
  memory.write(tiles.counts);
  draft.send();
  drawBar();
}

function drawBar() {
  const total = tiles.total;
  at("back").disabled = computing || !state?.step;
  at("next").disabled = computing || !total;
  at("progress").hidden = !computing;
  at("desk").setAttribute("aria-busy", String(computing));
  if (state && !computing) {
    at("status").textContent = `Step ${state.step + 1} · ${total} of ${state.picks} picked`;
  }
}

function drawState() {
  tiles.show(state.images, memory.read(), state.picks === 1);
  at("ask").textContent = state.picks === 1
    ? "Pick the image that comes closest."
    : `Pick about ${state.picks} images that come closest. Pick one again to give it more weight.`;
  drawFavourite();
  drawMutation();
  drawSteps();
  if (state.target) at("target").src = state.target;
  at("target-part").hidden = !state.target;
}

function drawFavourite() {
  at("favourite-part").hidden = !state.favourite;
  at("no-favourite").hidden = Boolean(state.favourite);
  if (!state.favourite) return;
  at("favourite").src = state.favourite;
  at("favourite-image").href = `${base}/favourite.png`;
  at("favourite-latent").href = `${base}/favourite.safetensors`;
}

// The range is logarithmic: from 2 % to 4 % is as much as from 50 % to 100 %.
const size = (position) => LEAST ** (1 - position / 100);
const position = (of) => Math.round(100 * (1 - Math.log(of) / Math.log(LEAST)));

function drawMutation() {
  const range = at("mutation");
  range.disabled = at("automatic").checked;
  if (range.disabled && state) range.value = position(state.mutation);
  const percent = `${Math.round(100 * (range.disabled ? state.mutation : size(range.value)))} %`;
  range.setAttribute("aria-valuetext", percent);
  at("mutation-value").textContent = percent;
}

function drawSteps() {
  const items = state.history.map((step) => {
    const item = document.createElement("li");
    const back = document.createElement("button");
    back.type = "button";
    back.setAttribute("aria-label", `Go back to step ${step.number + 1}`);
    const pictures = step.thumbnails.map((thumbnail) => {
      const picture = new Image();
      picture.src = thumbnail;
      picture.alt = "";
      return picture;
    });
    const label = document.createElement("span");
    label.textContent = `Step ${step.number + 1}`;
    back.append(...pictures, label);
    back.addEventListener("click", () => goBack(step.number));
    item.append(back);
    return item;
  });
  const here = document.createElement("li");
  here.className = "here";
  here.setAttribute("aria-current", "step");
  here.textContent = `Step ${state.step + 1}`;
  at("steps").replaceChildren(...items, here);
  at("steps").scrollLeft = at("steps").scrollWidth;
}

function busy(words) {
  computing = true;
  tiles.lock(true);
  at("status").textContent = words;
  drawBar();
}

// Whatever happened, the server's state is what counts. A server that is gone is waited for.
async function refresh() {
  for (;;) {
    try {
      state = await answered(`${base}/state`);
    } catch (problem) {
      show(problem);
      if (!(problem instanceof Silence)) throw problem;
      await new Promise((done) => setTimeout(done, RETRY));
      continue;
    }
    if (!state.busy) return;
    await new Promise((done) => setTimeout(done, POLL));
  }
}

async function change(words, call, data) {
  if (computing) return;
  show(null);
  busy(words);
  let problem = null;
  try {
    await computed(call, data);
  } catch (caught) {
    problem = caught;
    if (problem instanceof Silence) show(problem);
  }
  await settle(problem instanceof Silence ? null : problem);
}

async function settle(problem) {
  try {
    await refresh();
  } catch {
    at("status").textContent = "This session cannot be opened.";
    at("progress").hidden = true;
    return;
  }
  show(problem);
  computing = false;
  tiles.lock(false);
  drawState();
  drawBar();
  if (tiles.total) draft.send();
}

function next() {
  if (!tiles.total) return;
  const automatic = at("automatic").checked;
  const mutation = automatic ? null : size(at("mutation").value);
  change(
    `Making ${state.images.length} images …`,
    "next",
    [name, state.revision, tiles.counts, mutation],
  );
}

async function goBack(step) {
  if (computing) return;
  const before = state.history.find((each) => each.number === step);
  await change(`Going back to step ${step + 1} …`, "back", [name, step]);
  // What was picked there may be changed rather than found once more.
  if (before && state.step === step && !tiles.total) {
    for (const [row, count] of Object.entries(before.picked)) tiles.add(Number(row), count);
  }
}

at("next").addEventListener("click", next);
at("back").addEventListener("click", () => goBack(state.step - 1));
at("automatic").addEventListener("change", drawMutation);
at("mutation").addEventListener("input", drawMutation);
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, select, textarea, dialog");
  if (typing || event.ctrlKey || event.metaKey || event.altKey || computing) return;
  const key = event.key.toLowerCase();
  if (key === "n") next();
  else if (key === "b" && state.step) goBack(state.step - 1);
  else if (event.key.startsWith("Arrow") && document.activeElement === document.body) {
    tiles.focus(tiles.active);
    event.preventDefault();
  }
});

busy("Opening the session …");
settle(null);
