import { answered, computed, show } from "/assets/shared.js";

const form = document.querySelector("#begin");
const at = (id) => document.getElementById(id);
const chosen = (name) => form.querySelector(`[name=${name}]:checked`)?.value;

function follow() {
  at("photo-upload").hidden = chosen("start") !== "photo";
  at("session-upload").hidden = chosen("start") !== "session";
  at("fresh").hidden = chosen("start") === "session";
}

async function sent(input, kind, missing) {
  const file = input.files[0];
  if (!file) throw new Error(missing);
  return answered(`/uploads/${kind}`, { method: "POST", body: file });
}

async function preview() {
  const picture = at("photo-preview");
  picture.hidden = true;
  show(null);
  if (!at("photo").files.length) return;
  try {
    picture.src = (await sent(at("photo"), "photo", "")).preview;
    picture.hidden = false;
  } catch (problem) {
    at("photo").value = "";
    show(problem);
  }
}

async function wanted() {
  const start = chosen("start");
  const upload =
    start === "photo" ? await sent(at("photo"), "photo", "Choose a photo first.")
    : start === "session" ? await sent(at("archive"), "session", "Choose a saved session first.")
    : null;
  const target = at("target").files.length ? await sent(at("target"), "photo", "") : null;
  return {
    start,
    generator: chosen("generator"),
    population: at("population").valueAsNumber,
    picks: at("picks").valueAsNumber,
    seed: at("seed").value === "" ? null : at("seed").valueAsNumber,
    upload: upload?.upload,
    target: target?.upload,
  };
}

function waiting(busy) {
  at("go").disabled = busy;
  at("waiting").textContent = !busy ? "" : {
    photo: "Looking for your photo among the generator’s images. This takes some seconds.",
    session: "Reading the session …",
    random: "Making the first images …",
  }[chosen("start")];
}

form.addEventListener("change", follow);
at("photo").addEventListener("change", preview);
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (at("go").disabled) return;
  show(null);
  waiting(true);
  try {
    const { session } = await computed("begin", [await wanted()]);
    location.assign(`/sessions/${session}`);
  } catch (problem) {
    show(problem);
    waiting(false);
  }
});
// A page that is returned to may hold what was chosen before.
window.addEventListener("pageshow", () => { waiting(false); follow(); });
