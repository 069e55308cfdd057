// Pictures that hold an object of the chosen category, size and kind of error; other objects are dimmed.
for (const grid of document.querySelectorAll("#detections .grid")) {
  const filters = grid.querySelector(".filters");
  const rows = [...grid.querySelectorAll(".row")];
  const more = grid.querySelector(".more");
  const shown = () => {
    const wanted = [...filters.querySelectorAll("select")].filter((select) => select.value);
    let count = 0;
    for (const row of rows) {
      let any = false;
      for (const item of row.querySelectorAll(".item")) {
        const fits = wanted.every((select) => item.dataset[select.dataset.filter] === select.value);
        item.classList.toggle("dim", !fits);
        any ||= fits;
      }
      row.hidden = wanted.length > 0 && !any;
      count += !row.hidden;
    }
    if (more && wanted.length) more.open = true;
    filters.querySelector("output").textContent = `${count} of ${rows.length} images`;
  };
  filters.addEventListener("change", shown);
  filters.addEventListener("submit", (event) => event.preventDefault());
  filters.hidden = false;
}
