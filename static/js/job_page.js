/** The page of a job: progress, and buttons that do not leave the page. */

import "./changing.js";
import "./copying.js";
import "./errors.js";
import "./finding.js";
import "./following.js";
