/** The crops page of a job. */

import "./changes.js";
import "./crop_point.js";
import "./focus.js";
import "./polling.js";
