// An order's page follows its order: each change comes as a server-sent event.
const state = document.getElementById("state");

function show(news) {
  const words = news.state.replaceAll("_", " ");
  state.textContent = words;
  state.className = `state ${news.state}`;
  state.dataset.state = news.state;
  for (const step of document.querySelectorAll("#steps li")) {
    if (step.dataset.state === news.state) step.classList.add("done");
  }
  if (news.state !== "awaiting_payment") {
    for (const form of document.querySelectorAll("#actions form")) form.remove();
  }
}

if (state) {
  // The browser comes back by itself, and says what it had last.
  const source = new EventSource(`/orders/${state.dataset.order}/events`);
  source.onmessage = (event) => show(JSON.parse(event.data));
  addEventListener("pagehide", () => source.close());
}
