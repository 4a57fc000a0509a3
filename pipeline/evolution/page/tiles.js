// The grid: images that are picked, counted and moved between by keys.

function button(kind, text) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = kind;
  made.textContent = text;
  return made;
}

export class Tiles {
  // `changed()` is told of every pick, `looked(row)` of a wish to see an image closely.
  constructor(grid, { changed, looked }) {
    this.grid = grid;
    this.changed = changed;
    this.looked = looked;
    this.counts = [];
    this.single = false; // one pick a step: another pick moves it
    this.active = 0;
    this.locked = false;
    this.hadFocus = false;
    grid.addEventListener("keydown", (event) => this.key(event));
  }

  get total() {
    return this.counts.reduce((sum, count) => sum + count, 0);
  }

  show(images, counts, single) {
    this.counts = counts;
    this.single = single;
    this.active = Math.min(this.active, images.length - 1);
    this.tiles = images.map((image, row) => this.tile(image, row));
    this.grid.replaceChildren(...this.tiles.map((tile) => tile.item));
    counts.forEach((_, row) => this.draw(row));
    if (this.hadFocus) this.focus(this.active); // inert parts lose it
  }

  tile(image, row) {
    const item = document.createElement("li");
    const pick = button("pick", "");
    const picture = new Image();
    picture.src = image;
    picture.alt = "";
    picture.draggable = false;
    const badge = document.createElement("span");
    badge.className = "badge";
    badge.setAttribute("aria-hidden", "true");
    pick.append(picture, badge);
    const less = button("less", "−");
    less.setAttribute("aria-label", `Take back a pick of image ${row + 1}`);
    const look = button("look", "⤢");
    look.setAttribute("aria-label", `Look closer at image ${row + 1}`);
    item.append(pick, less, look);
    pick.addEventListener("click", () => { this.activate(row); this.add(row, 1); });
    less.addEventListener("click", () => { this.add(row, -1); this.focus(row); });
    look.addEventListener("click", () => { this.activate(row); this.looked(row); });
    item.addEventListener("contextmenu", (event) => {
      event.preventDefault();
      this.add(row, -1);
    });
    return { item, pick, less, look, badge };
  }

  add(row, change) {
    if (this.locked) return;
    if (this.single && change > 0) {
      this.counts.forEach((count, other) => {
        this.counts[other] = 0;
        if (count) this.draw(other);
      });
    }
    this.counts[row] = Math.max(0, this.counts[row] + change);
    this.draw(row);
    this.changed();
  }

  draw(row) {
    const { item, pick, less, look, badge } = this.tiles[row];
    const count = this.counts[row];
    const times = count === 0 ? "not picked" : count === 1 ? "picked once" : `picked ${count} times`;
    pick.setAttribute("aria-label", `Image ${row + 1}, ${times}`);
    pick.setAttribute("aria-pressed", String(count > 0));
    item.classList.toggle("picked", count > 0);
    badge.textContent = count > 1 ? `×${count}` : "✓";
    less.hidden = count === 0;
    for (const part of [pick, less, look]) part.tabIndex = row === this.active ? 0 : -1;
  }

  activate(row) {
    const before = this.active;
    this.active = row;
    this.draw(before);
    this.draw(row);
  }

  focus(row) {
    this.activate(row);
    this.tiles[row].pick.focus();
  }

  lock(locked) {
    if (locked) this.hadFocus = this.grid.contains(document.activeElement);
    this.locked = locked;
    this.grid.toggleAttribute("inert", locked);
  }

  columns() {
    const top = this.tiles[0].item.offsetTop;
    const below = this.tiles.findIndex((tile) => tile.item.offsetTop > top);
    return below < 0 ? this.tiles.length : below;
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const move = {
      ArrowLeft: -1,
      ArrowRight: 1,
      ArrowUp: -this.columns(),
      ArrowDown: this.columns(),
      Home: -this.active,
      End: this.tiles.length - 1 - this.active,
    }[event.key];
    if (move !== undefined) {
      const to = this.active + move;
      if (to >= 0 && to < this.tiles.length) this.focus(to);
    } else if (["Backspace", "Delete", "-"].includes(event.key)) {
      this.add(this.active, -1);
    } else if (event.key.toLowerCase() === "l") {
      this.looked(this.active);
    } else {
      return; // Space and Enter are the button's own
    }
    event.preventDefault();
  }
}
