"use client";
import { useRouter } from "next/navigation";
import { startTransition, useEffect, useRef } from "react";

/** The page that is shown if rendering fails, usually because the service or its database cannot be reached. */
export default function ErrorPage({ error, reset }: { error: Error & { digest?: string }; reset: () => void }) {
  const router = useRouter();
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), []);
  const again = () => startTransition(() => (router.refresh(), reset()));
  return (
    <main className="card narrow">
      <h1 ref={heading} tabIndex={-1}>
        Your tasks cannot be reached
      </h1>
      <p>The service does not answer right now. Nothing is lost; try again in a moment.</p>
      <button className="primary" onClick={again}>
        Try again
      </button>
      {error.digest && <p className="hint">When you report this, quote {error.digest}.</p>}
    </main>
  );
}
