// Draws the charts that report/curves.py describes, in place of the static figures, and lets readers change what they
// show. Without this script, and in print, the static figures stand.
(() => {
  "use strict";
  const ZOOM = 1.5;
  const GAP = 14; // pixels between a checkpoint and what is told of it
  const HINT =
    "Point at a curve, or focus the chart and use the arrow keys. Drag to move; zoom with the buttons, or with Ctrl and the wheel.";

  // An element with attributes (functions are listeners) and children.
  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (typeof value === "function") element.addEventListener(name, value);
      else if (value !== null) element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
  }

  const union = (lists) => [...new Set(lists.flat())];
  const one = (value) => value.toFixed(1).replace("-", "−");
  const clamp = (value, least, most) => Math.max(least, Math.min(value, most));

  // What a figure shows, the same in all of its panels.
  class Figure {
    constructor(panels, still) {
      this.hidden = new Set();
      this.panels = panels.map((panel, index) => new Panel(panel, panels.length > 1, index ? "" : HINT));
      const metrics = union(panels.map((panel) => panel.series));
      this.metric = metrics[0];
      this.category = "";
      this.note = make("p", { class: "curves-note" });
      this.categories = make("select", { change: (event) => this.set({ category: event.target.value }) });
      const choice = make(
        "select",
        { change: (event) => this.set({ metric: event.target.value, category: "" }) },
        ...metrics.map((metric) => make("option", { value: metric }, metric)),
      );
      const schedules = union(panels.map((panel) => panel.schedules));
      const controls = make(
        "div",
        { class: "curves-controls" },
        this.legend("Start", Object.assign({}, ...panels.map((panel) => panel.initialisations))),
        this.legend("Schedules", Object.fromEntries(schedules.map((name) => [name, null]))),
        make("label", {}, "Metric ", choice),
        make("label", {}, "Category ", this.categories),
        this.zooms(),
      );
      const drawn = make("div", { class: "curves-panels" }, ...this.panels.map((panel) => panel.element));
      still.before(make("div", { class: "curves" }, controls, drawn, this.note));
      still.classList.add("curves-still");
      this.update();
    }

    // A button for each name, pressed while it is shown; `colours` names its initialisation, or is null.
    legend(title, colours) {
      const toggle = (event, name) => {
        const shown = this.hidden.delete(name);
        if (!shown) this.hidden.add(name);
        event.currentTarget.setAttribute("aria-pressed", shown);
        this.update();
      };
      const buttons = Object.entries(colours).map(([name, colour]) => {
        const click = (event) => toggle(event, name);
        return make("button", { type: "button", "aria-pressed": "true", "data-start": colour, click }, name);
      });
      return make("span", { role: "group", "aria-label": title }, ...buttons);
    }

    zooms() {
      const button = (text, factor, label) =>
        make("button", { type: "button", "aria-label": label, click: () => this.zoom(factor) }, text);
      const buttons = [button("+", 1 / ZOOM, "Zoom in"), button("−", ZOOM, "Zoom out"), button("Whole", null, null)];
      return make("span", { role: "group", "aria-label": "Zoom" }, ...buttons);
    }

    zoom(factor) {
      for (const panel of this.panels) panel.zoom(factor);
    }

    set(choice) {
      Object.assign(this, choice);
      this.update();
    }

    update() {
      const names = union(this.panels.map((panel) => panel.of.categories[this.metric] ?? []));
      const options = names.map((name) => make("option", { value: name }, name));
      this.categories.replaceChildren(make("option", { value: "" }, "all"), ...options);
      this.categories.disabled = !names.length;
      this.categories.value = this.category;
      const series = this.category ? `${this.metric}, ${this.category}` : this.metric;
      const methods = union(this.panels.map((panel) => panel.of.methods[series] ?? []));
      const bands = methods.length ? `Bands: 95% intervals, from ${methods.join("; ")}. ` : "No bands: of this there is no interval. ";
      const [open] = this.panels.map((panel) => panel.of.unconverged).filter(Boolean);
      this.note.textContent = bands + (open ? `Open marks have not converged: ${open}.` : "");
      for (const panel of this.panels) panel.choose(series, this.hidden);
      const top = Math.max(...this.panels.map((panel) => panel.top())); // panels share an axis
      for (const panel of this.panels) panel.show(top > 0 ? top : null);
    }
  }

  // One chart: beside the checkpoint that is looked at its value, and below the chart all that is known of it.
  class Panel {
    constructor(described, several, hint) {
      this.of = described;
      this.hint = hint;
      this.records = described.chart.data.values.filter((record) => !record.start);
      this.at = null;
      // What the keyboard is at is read out below the chart; its hundreds of marks would tell nothing.
      const plot = make("div", { class: "curves-plot", "aria-hidden": "true" });
      this.tip = make("p", { class: "curves-tip", "aria-hidden": "true" });
      this.readout = make("p", { class: "curves-readout", "aria-live": "polite" }, hint);
      const keys =
        "Left and right go along a curve, up and down to another curve, Home and End to its ends; plus, minus and 0 zoom.";
      const frame = {
        class: "curves-frame",
        tabindex: "0",
        role: "application",
        "aria-roledescription": "chart",
        "aria-label": `${described.title}: learning curves. ${keys}`,
        keydown: (event) => this.key(event),
        blur: () => this.look(null),
      };
      const title = several ? make("p", { class: "curves-title" }, described.title) : "";
      this.element = make("div", {}, title, make("div", frame, plot, this.tip), this.readout);
      this.ready = window.vegaEmbed(plot, described.chart, {
        mode: "vega-lite",
        renderer: "svg",
        actions: false,
        logLevel: 1, // errors alone: a chart from which all is hidden is none
        // Expressions are interpreted: nothing is compiled from text, so the page runs under a strict policy.
        ast: true,
      });
      this.ready.then(({ view }) => {
        this.view = view;
        view.addSignalListener("hover", (_, { id }) => {
          this.look(id ? this.records.find((record) => record.id === id[0]) : null);
        });
      });
    }

    choose(series, hidden) {
      this.series = series;
      this.hidden = hidden;
      this.shown = this.of.schedules.reduce((bits, name, index) => bits | (hidden.has(name) ? 0 : 1 << index), 0);
    }

    // The highest value or end of an interval that is chosen; -Infinity where there is none.
    top() {
      const cells = this.records.filter((record) => this.visible(record)).map((record) => record[this.series]);
      return Math.max(...cells.map(([mean, , high]) => Math.max(mean, Math.min(high ?? mean, 100))));
    }

    show(top) {
      const { series, hidden, shown } = this;
      this.ready.then(({ view }) => {
        view.signal("series", series).signal("hidden", [...hidden]).signal("shown", shown).signal("top", top);
        this.look(this.at && this.visible(this.at) ? this.at : null);
      });
    }

    visible(record) {
      return !this.hidden.has(record.initialisation) && (record.mask & this.shown) > 0 && this.series in record;
    }

    async look(record) {
      if (!this.view) return;
      this.at = record;
      const told = record ? this.told(record) : [];
      this.tip.replaceChildren(...told.slice(0, 3).map((part) => part.cloneNode(true)));
      this.readout.replaceChildren(...(record ? told.flatMap((part, index) => (index ? [" · ", part] : [part])) : [this.hint]));
      await this.view.signal("at", record ? record.id : null).runAsync();
      if (record && record === this.at) this.place(record);
    }

    // The tip above its checkpoint, or below it where there is no room, and within the chart's width.
    place(record) {
      const [left, top] = this.view.origin();
      const x = left + this.view.scale("x")(record.iteration);
      const y = top + this.view.scale("y")(record[this.series][0]);
      const { offsetWidth: width, offsetHeight: height } = this.tip;
      this.tip.style.left = `${clamp(x - width / 2, 0, this.tip.parentElement.clientWidth - width)}px`;
      this.tip.style.top = `${y > height + GAP ? y - height - GAP : y + GAP}px`;
    }

    // What is known of a checkpoint, part by part: first what is shown beside it.
    told(record) {
      const [mean, low, high, ...values] = record[this.series];
      const interval = low === null ? "no interval" : `${one(low)} to ${one(high)}`;
      const seeds = values.map((value, index) => [this.of.seeds[index], value]).filter(([, value]) => value !== null);
      const told = [
        make("strong", {}, `${this.series} ${one(mean)} (${interval})`),
        make("span", {}, `${record.initialisation}, ${record.schedules.join(", ")}`),
        make("span", {}, `iteration ${record.iteration.toLocaleString("en")}`),
        record.segment,
        seeds.length > 1 ? seeds.map(([seed, value]) => `seed ${seed}: ${one(value)}`).join(", ") : "",
        record.end && !record.converged ? "not converged" : "",
        make("code", {}, record.source),
      ];
      return told.filter(Boolean);
    }

    key(event) {
      const zooms = { "+": 1 / ZOOM, "=": 1 / ZOOM, "-": ZOOM, 0: null };
      const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], Home: [-Infinity, 0], End: [Infinity, 0] };
      const turns = { ArrowUp: [0, -1], ArrowDown: [0, 1] };
      if (event.ctrlKey || event.altKey || event.metaKey || !this.view) return;
      if (event.key in zooms) this.zoom(zooms[event.key]);
      else if (event.key in steps || event.key in turns) this.step(...(steps[event.key] ?? turns[event.key]));
      else if (event.key === "Escape") this.look(null);
      else return;
      event.preventDefault();
    }

    // The shown checkpoints along each shown schedule of each initialisation.
    paths() {
      const shown = this.records.filter((record) => this.visible(record));
      const along = (name, schedule) =>
        shown
          .filter((record) => record.initialisation === name && record.schedules.includes(schedule))
          .sort((one, other) => one.iteration - other.iteration);
      const schedules = this.of.schedules.filter((schedule) => !this.hidden.has(schedule));
      const paths = Object.keys(this.of.initialisations).flatMap((name) => schedules.map((each) => along(name, each)));
      return paths.filter((path) => path.length);
    }

    // To another checkpoint: `along` its curve, or `across` to the nearest one of another.
    step(along, across) {
      const paths = this.paths();
      if (!paths.length) return;
      if (!paths[this.path]?.includes(this.at)) this.path = paths.findIndex((path) => path.includes(this.at));
      if (this.path < 0) {
        this.path = 0;
        this.look(paths[0].at(-1));
        return;
      }
      this.path = clamp(this.path + across, 0, paths.length - 1);
      const path = paths[this.path];
      const distance = (record) => Math.abs(record.iteration - this.at.iteration);
      const nearest = path.reduce((best, record) => (distance(record) < distance(best) ? record : best));
      this.look(path[clamp(path.indexOf(nearest) + along, 0, path.length - 1)]);
    }

    // Around what is looked at, else around the middle; null shows the whole.
    zoom(factor) {
      if (!this.view) return;
      const centre = this.at ? { iteration: this.at.iteration, value: this.at[this.series][0] } : {};
      for (const [scale, field] of [["x", "iteration"], ["y", "value"]]) {
        const [low, high] = this.view.scale(scale).domain();
        const middle = centre[field] ?? (low + high) / 2;
        const range = [middle - (middle - low) * factor, middle + (high - middle) * factor];
        this.view.signal(`zoomed_${field}`, factor === null ? null : range);
      }
      this.view.runAsync().then(() => this.at && this.place(this.at));
    }
  }

  // Figures may follow this script in the page.
  addEventListener("DOMContentLoaded", () => {
    const figures = JSON.parse(document.getElementById("curves-data").textContent);
    for (const [name, panels] of Object.entries(figures)) {
      const still = document.getElementById(name)?.querySelector("img, svg, picture");
      if (still) new Figure(panels, still);
    }
  });
})();
