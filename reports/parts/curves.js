// Draws the charts that report/curves.py describes, beside the static figures, and lets readers change what they show.
(() => {
  "use strict";
  const ZOOM = 1.5;
  const figures = JSON.parse(document.getElementById("curves-data").textContent);

  // An element with attributes (functions are listeners) and children.
  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (typeof value === "function") element.addEventListener(name, value);
      else if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children);
    return element;
  }

  const union = (lists) => [...new Set(lists.flat())];

  // What a figure shows, the same in all of its panels.
  class Figure {
    constructor(name, panels, still) {
      this.hidden = new Set();
      this.panels = panels.map((panel) => new Panel(name, panel, this, panels.length > 1));
      this.metrics = union(panels.map((panel) => panel.series));
      this.metric = this.metrics[0];
      this.category = "";
      this.method = make("p", { class: "curves-method" });
      this.categories = make("select", { change: (event) => this.set({ category: event.target.value }) });
      const metrics = make("select", { change: (event) => this.set({ metric: event.target.value }) });
      metrics.append(...this.metrics.map((metric) => make("option", { value: metric }, metric)));
      this.element = make(
        "div",
        { class: "curves" },
        make(
          "div",
          { class: "curves-controls" },
          this.toggles("Start", Object.assign({}, ...panels.map((panel) => panel.initialisations))),
          this.toggles("Schedules", Object.fromEntries(union(panels.map((panel) => panel.schedules)).map((name) => [name, null]))),
          make("label", {}, "Metric ", metrics),
          make("label", {}, "Category ", this.categories),
          make(
            "span",
            { role: "group", "aria-label": "Zoom" },
            make("button", { type: "button", "aria-label": "Zoom in", click: () => this.zoom(1 / ZOOM) }, "+"),
            make("button", { type: "button", "aria-label": "Zoom out", click: () => this.zoom(ZOOM) }, "−"),
            make("button", { type: "button", click: () => this.zoom(null) }, "Whole"),
          ),
        ),
        make("div", { class: "curves-panels" }, ...this.panels.map((panel) => panel.element)),
        this.method,
      );
      still.before(this.element);
      still.classList.add("curves-still");
      this.update();
    }

    // The legend: a button for each name, pressed while it is shown; its colour is that of an initialisation, or none.
    toggles(title, colours) {
      const buttons = Object.entries(colours).map(([name, colour]) =>
        make(
          "button",
          {
            type: "button",
            "aria-pressed": "true",
            "data-start": colour,
            click: (event) => {
              const show = this.hidden.delete(name);
              if (!show) this.hidden.add(name);
              event.currentTarget.setAttribute("aria-pressed", String(show));
              this.update();
            },
          },
          name,
        ),
      );
      return make("span", { role: "group", "aria-label": title }, ...buttons);
    }

    set(choice) {
      if (choice.metric) this.category = "";
      Object.assign(this, choice);
      this.update();
    }

    update() {
      const categories = union(this.panels.map((panel) => panel.of.categories[this.metric] ?? []));
      this.categories.disabled = !categories.length;
      this.categories.replaceChildren(
        make("option", { value: "" }, "all"),
        ...categories.map((name) => make("option", { value: name }, name)),
      );
      this.categories.value = this.category;
      const series = this.category ? `${this.metric}, ${this.category}` : this.metric;
      const methods = union(this.panels.map((panel) => panel.of.methods[series] ?? []));
      this.method.textContent = methods.length ? `95% intervals, drawn as bands: ${methods.join("; ")}.` : "";
      for (const panel of this.panels) panel.show(series, this.hidden);
    }

    zoom(factor) {
      for (const panel of this.panels) panel.zoom(factor);
    }
  }

  // One chart, and below it what is known of the checkpoint that is looked at.
  class Panel {
    constructor(name, described, figure, several) {
      this.of = described;
      this.records = described.chart.data.values.filter((record) => !record.start);
      this.at = null;
      this.plot = make("div", { class: "curves-plot" });
      this.readout = make("p", { class: "curves-readout", "aria-live": "polite" });
      const frame = make(
        "div",
        {
          class: "curves-frame",
          tabindex: "0",
          role: "application",
          "aria-roledescription": "chart",
          "aria-label":
            `${described.title}: learning curves. Left and right go along a curve, up and down to another curve, ` +
            "Home and End to its ends; plus, minus and 0 zoom.",
          keydown: (event) => this.key(event),
        },
        this.plot,
      );
      this.hint = "Point at a curve, or focus the chart and use the arrow keys. Drag to move; zoom with Ctrl and the wheel.";
      this.element = make("div", {}, several ? make("p", { class: "curves-title" }, described.title) : "", frame, this.readout);
      this.readout.textContent = this.hint;
      this.ready = window.vegaEmbed(this.plot, described.chart, {
        mode: "vega-lite",
        renderer: "svg",
        actions: false,
        // Expressions are interpreted: nothing is compiled from text, so the page runs under a strict policy.
        ast: true,
        tooltip: { disableDefaultStyle: true },
      });
      this.ready.then(({ view }) => {
        this.view = view;
        view.addSignalListener("hover", (_, value) => {
          if (value.id) this.look(this.records.find((record) => record.id === value.id[0]));
        });
      });
    }

    show(series, hidden) {
      this.series = series;
      this.hidden = hidden;
      const bits = this.of.schedules.map((name, index) => (hidden.has(name) ? 0 : 2 ** index));
      this.shown = bits.reduce((sum, bit) => sum + bit, 0);
      if (this.at && !this.visible(this.at)) this.at = null;
      this.ready.then(({ view }) => {
        view.signal("series", series).signal("hidden", [...hidden]).signal("shown", this.shown);
        this.look(this.at);
      });
    }

    visible(record) {
      return !this.hidden.has(record.initialisation) && (record.mask & this.shown) > 0 && Array.isArray(record[this.series]);
    }

    look(record) {
      this.at = record;
      this.readout.replaceChildren(...(record ? this.told(record) : [this.hint]));
      this.view.signal("at", record ? record.id : null).runAsync();
    }

    // What is known of a checkpoint, as a sentence.
    told(record) {
      const [mean, low, high, ...seeds] = record[this.series];
      const interval = low === null ? "no interval" : `${low.toFixed(1)} to ${high.toFixed(1)}`;
      const each = seeds.map((value, index) => [this.of.seeds[index], value]).filter(([, value]) => value !== null);
      const values = each.map(([seed, value]) => `seed ${seed}: ${value.toFixed(1)}`).join(", ");
      return [
        make("strong", {}, `${this.series} ${mean.toFixed(1)} (${interval})`),
        ` ${record.initialisation}, ${record.schedules.join(", ")}, iteration ${record.iteration.toLocaleString("en")} ` +
          `(${record.segment})${each.length > 1 ? `; ${values}` : ""}${record.end && !record.converged ? "; not converged" : ""}. `,
        make("code", {}, record.source),
      ];
    }

    // The shown checkpoints along each schedule of each initialisation.
    paths() {
      return Object.keys(this.of.initialisations).flatMap((initialisation) =>
        this.of.schedules
          .map((schedule) =>
            this.records
              .filter((record) => this.visible(record) && record.initialisation === initialisation)
              .filter((record) => !this.hidden.has(schedule) && record.schedules.includes(schedule))
              .sort((one, other) => one.iteration - other.iteration),
          )
          .filter((path) => path.length),
      );
    }

    key(event) {
      const zooms = { "+": 1 / ZOOM, "=": 1 / ZOOM, "-": ZOOM, 0: null };
      const along = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };
      const across = { ArrowUp: -1, ArrowDown: 1 };
      if (event.ctrlKey || event.altKey || event.metaKey || !this.view) return;
      if (event.key in zooms) this.zoom(zooms[event.key]);
      else if (event.key in along || event.key in across) this.step(along[event.key] ?? 0, across[event.key] ?? 0);
      else return;
      event.preventDefault();
    }

    step(along, across) {
      const paths = this.paths();
      if (!paths.length) return;
      if (!this.at) return this.look(paths[0].at(-1));
      const clamp = (value, last) => Math.min(Math.max(value, 0), last);
      if (this.path === undefined || !paths[this.path]?.includes(this.at)) {
        this.path = paths.findIndex((path) => path.includes(this.at));
      }
      const from = this.path;
      this.path = clamp(from + across, paths.length - 1);
      const path = paths[this.path];
      if (across) {
        // The checkpoint of the other curve that is nearest in iterations.
        const distance = (record) => Math.abs(record.iteration - this.at.iteration);
        this.look(path.reduce((best, record) => (distance(record) < distance(best) ? record : best)));
      } else {
        this.look(path[clamp(path.indexOf(this.at) + along, path.length - 1)]);
      }
    }

    // Around what is looked at, else around the middle; null shows the whole.
    zoom(factor) {
      if (!this.view) return;
      const centre = this.at ? { iteration: this.at.iteration, value: this.at[this.series][0] } : {};
      for (const [scale, field] of Object.entries({ x: "iteration", y: "value" })) {
        const [low, high] = this.view.scale(scale).domain();
        const middle = centre[field] ?? (low + high) / 2;
        const to = factor === null ? null : [middle - (middle - low) * factor, middle + (high - middle) * factor];
        this.view.signal(`zoomed_${field}`, to);
      }
      this.view.runAsync();
    }
  }

  // Figures may follow this script in the page.
  addEventListener("DOMContentLoaded", () => {
    for (const [name, panels] of Object.entries(figures)) {
      const still = document.getElementById(name)?.querySelector("img, svg, picture");
      if (still) new Figure(name, panels, still);
    }
  });
})();
