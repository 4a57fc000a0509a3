// One image, large, with its downloads.

export class Closer {
  // `described(row)` gives the image's source and the address of its files without their suffix.
  constructor(tiles, described) {
    this.tiles = tiles;
    this.described = described;
    this.row = 0;
    this.dialog = document.getElementById("closer");
    this.part("more").addEventListener("click", () => this.add(1));
    this.part("less").addEventListener("click", () => this.add(-1));
    this.part("shut").addEventListener("click", () => this.dialog.close());
    this.dialog.addEventListener("close", () => this.tiles.focus(this.row));
    this.dialog.addEventListener("click", (event) => {
      if (event.target === this.dialog) this.dialog.close(); // beside it
    });
    this.dialog.addEventListener("keydown", (event) => {
      const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (move) this.draw((this.row + move + this.tiles.counts.length) % this.tiles.counts.length);
    });
  }

  part(name) {
    return document.getElementById(`closer-${name}`);
  }

  open(row) {
    this.draw(row);
    this.dialog.showModal();
  }

  add(change) {
    this.tiles.add(this.row, change);
    this.draw(this.row);
  }

  draw(row) {
    this.row = row;
    const { src, file } = this.described(row);
    const count = this.tiles.counts[row];
    this.part("title").textContent = `Image ${row + 1}`;
    this.part("image").src = src;
    this.part("image").alt = `Image ${row + 1}`;
    this.part("png").href = `${file}.png`;
    this.part("latent").href = `${file}.safetensors`;
    this.part("count").textContent = count ? `picked ×${count}` : "";
    this.part("less").disabled = count === 0;
    this.part("less").setAttribute("aria-label", "Take back a pick");
  }
}
