// What both pages ask the server for, and how they say what went wrong.

export const SILENT_SERVER =
  "The server does not answer. Everything up to the last step is saved: start “vqlso evolve” " +
  "again, and this page goes on.";

export class Problem extends Error {}
export class Silence extends Problem {
  constructor() { super(SILENT_SERVER); }
}

async function ask(address, options) {
  try {
    return await fetch(address, options);
  } catch {
    throw new Silence();
  }
}

export async function answered(address, options) {
  const response = await ask(address, options);
  const text = await response.text();
  let answer;
  try {
    answer = JSON.parse(text);
  } catch {
    throw new Problem(text || "The server gave no answer. Try once more.");
  }
  if (answer.problem) throw new Problem(answer.problem);
  return answer;
}

// Gradio's queue: a call is joined by POST, and its end comes as the last server-sent event.
export async function computed(name, data) {
  const joined = await answered(`/gradio_api/call/${name}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ data }),
  });
  const stream = await ask(`/gradio_api/call/${name}/${joined.event_id}`);
  let text;
  try {
    text = await stream.text();
  } catch {
    throw new Silence();
  }
  const found = text.match(/event: complete\ndata: (.*)\n/);
  if (!found) throw new Problem("The server failed at this step. Nothing that was saved is lost.");
  const answer = JSON.parse(found[1])[0];
  if (answer.problem) throw new Problem(answer.problem);
  return answer;
}

export function show(problem) {
  const note = document.querySelector("#problem");
  note.textContent = problem ? problem.message : "";
  note.hidden = !problem;
  if (problem) note.scrollIntoView({ block: "nearest" });
}
